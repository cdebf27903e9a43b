package io.chorale.train.model.math;

import io.chorale.tensor.Scope;

/** Splits element-wise work so that its temporaries stay in a core's cache. */
final class RowChunks {
  private static final int ELEMENTS = 1 << 17;

  @FunctionalInterface
  interface Body {
    void rows(long from, long count);
  }

  private RowChunks() {}

  /** Runs the body over all rows of a width, each chunk in a scope of its own. */
  static void run(long rows, long width, Body body) {
    long step = Math.max(1, ELEMENTS / Math.max(1, width));
    for (long from = 0; from < rows; from += step) {
      try (Scope scope = Scope.open()) {
        body.rows(from, Math.min(step, rows - from));
      }
    }
  }
}
