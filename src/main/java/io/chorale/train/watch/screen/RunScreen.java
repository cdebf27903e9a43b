package io.chorale.train.watch.screen;

import io.chorale.train.watch.TrainEvent;
import io.chorale.train.watch.TrainListener;
import io.chorale.train.watch.Verdict;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * A run on the terminal. On a terminal that can: a few lines repainted in place, at most five times
 * a second, and once a second while a step lasts; what is said once (verdicts, rows that are not
 * finite, the end) scrolls above them. Elsewhere, and with {@code NO_COLOR} or {@code TERM=dumb}:
 * plain lines, the newest step at most every ten seconds and at every evaluation.
 *
 * <p>Events on the trainer's thread, which waits for the painting only. Whoever prints to the same
 * terminal meanwhile does it through {@link #say}.
 */
public final class RunScreen implements TrainListener, AutoCloseable {
  private static final long REPAINT_MS = 200;
  private static final long TICK_MS = 1000;
  private static final long PLAIN_MS = 10_000;
  private static final String CLEAR_LINE = "\r\033[2K";
  private static final String RED = "\033[31m";
  private static final String YELLOW = "\033[33m";
  private static final String GREEN = "\033[32m";
  private static final String PLAIN = "\033[0m";

  private final PrintWriter out;
  private final boolean inPlace;
  private final int width;
  private final LongSupplier clockMs;
  private final ScreenLines lines;
  private Thread ticker;
  private int painted;
  private long paintedAtMs = Long.MIN_VALUE / 2;
  private boolean unpainted;
  private boolean over;

  /**
   * @param inPlace repaint with ANSI sequences; else plain lines
   * @param width in characters
   * @param unicode the writer's character set has block elements
   */
  RunScreen(PrintWriter out, boolean inPlace, int width, boolean unicode, LongSupplier clockMs) {
    this.out = out;
    this.inPlace = inPlace;
    this.width = width;
    this.clockMs = clockMs;
    this.lines = new ScreenLines(unicode);
  }

  /**
   * A screen on this process's standard error or what stands for it.
   *
   * @param environment of the process: NO_COLOR, TERM, COLUMNS
   */
  public static RunScreen on(PrintWriter err, Map<String, String> environment) {
    boolean inPlace = Terminal.repaints(environment);
    RunScreen screen =
        new RunScreen(
            err,
            inPlace,
            inPlace ? Terminal.columns(environment) : 200,
            Charset.defaultCharset().newEncoder().canEncode('█'),
            RunScreen::nowMs);
    if (inPlace) {
      screen.tick();
    }
    return screen;
  }

  private static long nowMs() {
    return System.nanoTime() / 1_000_000;
  }

  private void tick() {
    ticker =
        new Thread(
            () -> {
              try {
                while (!isOver()) {
                  Thread.sleep(TICK_MS);
                  repaint(TICK_MS);
                }
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt(); // closed
              }
            },
            "train-screen");
    ticker.setDaemon(true);
    ticker.start();
  }

  private synchronized boolean isOver() {
    return over;
  }

  @Override
  public synchronized void on(TrainEvent event) {
    long now = clockMs.getAsLong();
    lines.on(event, now);
    if (event instanceof TrainEvent.Judged e) {
      say(verdict(e.verdict()));
    } else if (event instanceof TrainEvent.NotFinite e) {
      say(List.of("not finite at step %d: %s".formatted(e.step(), e.what())));
    } else if (event instanceof TrainEvent.Started && !inPlace) {
      say(List.of(lines.title()));
    } else if (event instanceof TrainEvent.Finished e) {
      finish(e, now);
    } else {
      unpainted |= event instanceof TrainEvent.Step || event instanceof TrainEvent.Evaluated;
      boolean told = event instanceof TrainEvent.Evaluated;
      repaint(inPlace ? REPAINT_MS : told ? 0 : PLAIN_MS);
    }
  }

  private void finish(TrainEvent.Finished e, long now) {
    paintedAtMs = Long.MIN_VALUE / 2;
    repaint(0);
    painted = 0; // the last picture stays
    over = true;
    out.println(
        ScreenLines.format(
            "%s after step %d, %s, peak memory %s%s",
            e.why(),
            e.step(),
            ScreenLines.duration(e.seconds() * 1e3),
            ScreenLines.bytes(e.peakResidentBytes()),
            e.out() == null || e.out().isEmpty() ? "" : ", in " + e.out()));
    out.flush();
  }

  /** Prints lines above the picture. */
  public synchronized void say(List<String> text) {
    erase();
    text.forEach(out::println);
    out.flush();
    if (inPlace && !over) {
      paint(clockMs.getAsLong());
    }
  }

  private synchronized void repaint(long atMostEveryMs) {
    long now = clockMs.getAsLong();
    if (over || now - paintedAtMs < atMostEveryMs || !inPlace && !unpainted) {
      return;
    }
    if (inPlace) {
      paint(now);
    } else {
      out.println(lines.plain(now));
      out.flush();
    }
    paintedAtMs = now;
    unpainted = false;
  }

  private void paint(long now) {
    StringBuilder picture = new StringBuilder();
    if (painted > 0) {
      picture.append("\033[").append(painted).append('A');
    }
    List<String> rows = lines.lines(width - 1, now);
    for (String row : rows) {
      picture.append(CLEAR_LINE).append(row).append('\n');
    }
    painted = rows.size();
    out.print(picture);
    out.flush();
  }

  /** Takes the picture away and leaves the cursor where it began. */
  private void erase() {
    if (painted > 0) {
      out.print("\033[" + painted + "A" + (CLEAR_LINE + "\n").repeat(painted));
      out.print("\033[" + painted + "A");
      painted = 0;
    }
  }

  private List<String> verdict(Verdict verdict) {
    List<String> text = new ArrayList<>();
    String label = verdict.kind().label().toUpperCase(Locale.ROOT);
    String head =
        "step %d  %s%s: %s"
            .formatted(verdict.step(), verdict.raised() ? "" : "no longer ", label, verdict.text());
    text.add(inPlace ? color(verdict) + head + PLAIN : head);
    verdict.remedies().forEach(remedy -> text.add("  try " + remedy.text()));
    return text;
  }

  private static String color(Verdict verdict) {
    if (!verdict.raised()) {
      return GREEN;
    }
    return verdict.kind().fatal() ? RED : YELLOW;
  }

  /** Stops the clock; the last picture stays. */
  @Override
  public synchronized void close() {
    over = true;
    if (ticker != null) {
      ticker.interrupt();
    }
  }
}
