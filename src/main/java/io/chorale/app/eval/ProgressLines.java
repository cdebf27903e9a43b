package io.chorale.app.eval;

import io.chorale.eval.EvalListener;
import java.io.PrintWriter;
import java.util.Locale;

/** A line on standard error every two seconds: what, how far, how much longer. One thread. */
final class ProgressLines implements EvalListener {
  private static final long EVERY_MS = 2000;

  private final PrintWriter err;
  private String current = "";
  private long startedMs;
  private long lastMs;

  ProgressLines(PrintWriter err) {
    this.err = err;
  }

  @Override
  public void at(String what, long done, long total) {
    long now = System.nanoTime() / 1_000_000;
    if (!what.equals(current)) {
      current = what;
      startedMs = now;
      lastMs = now;
      return;
    }
    if (now - lastMs < EVERY_MS) {
      return;
    }
    lastMs = now;
    String left =
        done == 0 || done >= total
            ? ""
            : String.format(
                Locale.ROOT, ", about %d s left", (now - startedMs) * (total - done) / done / 1000);
    err.printf("eval: %s %d/%d%s%n", what, done, total, left);
    err.flush();
  }
}
