package io.chorale.sched.pace;

/**
 * How many rows of prompts may go beside decode rows so that the step ends in time: whoever reads a
 * stream sees no gap longer than that. Learned from measured steps:
 *
 * <pre>
 *   time = fixed + perDecode * decode rows + perPrefill * prefill rows + perContext * (sum of the
 *          rows' positions)
 * </pre>
 *
 * each step corrects all four in proportion to their share in it (normalized least mean squares).
 * Chunks never change a result, only when it comes.
 */
public final class StepPace {
  /** Prompts always get so many rows, or they would wait for ever beside a slow decode. */
  public static final int LEAST_ROWS = 16;

  /** What the weights are of, so that they are of one size. */
  private static final double[] UNIT = {1, 16, 64, 8192};

  /** A 4-bit model on a CPU: shares of the fixed time, until steps say otherwise. */
  private static final double[] PRIOR = {1, 16 * 0.2, 64 * 0.1, 8192 * 0.00005};

  private static final double RATE = 0.3;

  private final double targetNanos;
  private final double[] weights = new double[UNIT.length];
  private final double[] step = new double[UNIT.length];
  private boolean known;

  /**
   * @param maxStepMs 0 for no limit
   */
  public StepPace(int maxStepMs) {
    this.targetNanos = maxStepMs * 1e6;
  }

  /**
   * Rows of prompts that fit in the step.
   *
   * @param decodeRows beside them; with none there is no limit
   * @param decodePositions sum of the decode rows' positions
   * @param start position where the first prompt goes on
   */
  public int prefillRows(int decodeRows, long decodePositions, int start) {
    if (targetNanos == 0 || decodeRows == 0 || !known) {
      return targetNanos == 0 || decodeRows == 0 ? Integer.MAX_VALUE : LEAST_ROWS;
    }
    describe(decodeRows, 0, decodePositions);
    double left = targetNanos - predicted();
    double perRow = weights[2] / UNIT[2] + weights[3] / UNIT[3] * start;
    int rows = (int) Math.min(1 << 20, left / perRow);
    return Math.max(LEAST_ROWS, rows / LEAST_ROWS * LEAST_ROWS);
  }

  /**
   * A step took so long.
   *
   * @param positions sum over all its rows
   */
  public void observe(int decodeRows, int prefillRows, long positions, long nanos) {
    if (targetNanos == 0) {
      return;
    }
    describe(decodeRows, prefillRows, positions);
    if (!known) {
      System.arraycopy(PRIOR, 0, weights, 0, weights.length);
      double scale = nanos / predicted();
      for (int i = 0; i < weights.length; i++) {
        weights[i] *= scale;
      }
      known = true;
      return;
    }
    double expected = predicted();
    // Twice as long says more about the machine than about the step.
    double error = Math.min(nanos, 2 * expected) - expected;
    double norm = 0;
    for (double part : step) {
      norm += part * part;
    }
    for (int i = 0; i < weights.length; i++) {
      weights[i] = Math.max(PRIOR[i] * 1e-3, weights[i] + RATE * error * step[i] / norm);
    }
  }

  private void describe(int decodeRows, int prefillRows, long positions) {
    step[0] = 1 / UNIT[0];
    step[1] = decodeRows / UNIT[1];
    step[2] = prefillRows / UNIT[2];
    step[3] = positions / UNIT[3];
  }

  private double predicted() {
    double sum = 0;
    for (int i = 0; i < weights.length; i++) {
      sum += weights[i] * step[i];
    }
    return sum;
  }
}
