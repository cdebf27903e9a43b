package io.chorale.app.store;

import java.io.PrintStream;

/**
 * Tells a waiting person how far a long task is: a bar that is redrawn on a terminal, else a line
 * every {@link #LINE_MS}. A task shorter than that prints one closing line. One thread at a time.
 */
public final class Progress {
  private static final long LINE_MS = 2000;
  private static final long REDRAW_MS = 100;
  private static final int BAR_WIDTH = 24;

  private final PrintStream out;
  private final boolean terminal;

  public Progress(PrintStream out, boolean terminal) {
    this.out = out;
    this.terminal = terminal;
  }

  /**
   * On standard error; the launcher says with {@code -Dlauncher.tty=true} that it is a terminal.
   */
  public static Progress onStandardError() {
    return new Progress(System.err, Boolean.getBoolean("launcher.tty"));
  }

  /** One line of its own. */
  void say(String line) {
    out.println(line);
    out.flush();
  }

  /**
   * @param totalBytes 0 if not known
   */
  Task task(String what, long totalBytes) {
    return new Task(what, totalBytes);
  }

  /** One task under way; closing it prints the last line. */
  final class Task implements AutoCloseable {
    private final String what;
    private final long startedMs = nowMs();
    private long totalBytes;
    private long doneBytes;
    private long shownMs = startedMs;
    private int shownWidth;

    private Task(String what, long totalBytes) {
      this.what = what;
      this.totalBytes = totalBytes;
    }

    void total(long bytes) {
      totalBytes = bytes;
    }

    /** So many bytes are done in all. */
    void at(long bytes) {
      doneBytes = bytes;
      long now = nowMs();
      if (now - shownMs >= (terminal ? REDRAW_MS : LINE_MS)) {
        shownMs = now;
        show(terminal ? "\r" : "", terminal ? "" : "\n");
      }
    }

    @Override
    public void close() {
      show(terminal ? "\r" : "", "\n");
    }

    private void show(String before, String after) {
      String text = line();
      String blanks = terminal ? " ".repeat(Math.max(0, shownWidth - text.length())) : "";
      shownWidth = text.length();
      out.print(before + text + blanks + after);
      out.flush();
    }

    private String line() {
      double seconds = (nowMs() - startedMs) / 1000.0;
      if (totalBytes <= 0) {
        return "%s: %.1f MB, %.1f s".formatted(what, doneBytes / 1e6, seconds);
      }
      double share = Math.min(1, (double) doneBytes / totalBytes);
      int filled = (int) (share * BAR_WIDTH);
      String bar = terminal ? " [" + "#".repeat(filled) + ".".repeat(BAR_WIDTH - filled) + "]" : "";
      return "%s:%s %3.0f %%, %.1f of %.1f MB, %.1f s"
          .formatted(what, bar, share * 100, doneBytes / 1e6, totalBytes / 1e6, seconds);
    }
  }

  private static long nowMs() {
    return System.nanoTime() / 1_000_000;
  }
}
