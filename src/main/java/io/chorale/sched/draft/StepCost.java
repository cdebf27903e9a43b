package io.chorale.sched.draft;

/**
 * What a step costs by its rows, learned from measured steps: {@code time = fixed + perRow * rows},
 * least squares with exponential forgetting. A few rows more are cheap beside one (the weights are
 * read once), and cost their full share beside many.
 *
 * <p>Until steps of different sizes have been seen, the slope is that of a 4-bit model on a CPU. A
 * step that took over twice what was expected says more about the machine than about its rows and
 * counts as twice.
 */
public final class StepCost {
  /** Steps with more rows are prompts; their rows are cheaper and would bend the line. */
  private static final int MAX_ROWS = 64;

  /** Chance and cost are estimates: a gain below this is not worth another's waiting. */
  private static final double MARGIN = 1.15;

  private static final double KEEP = 0.98;
  private static final double PRIOR_WEIGHT = 8;

  /** A row's time as a share of the fixed time: 576 x 1536 Q4 at 1 and 8 rows, decision 0003. */
  private static final double PRIOR_SLOPE = 0.37;

  private static final int PRIOR_ROWS = 8;

  private double weight;
  private double rowsSum;
  private double timeSum;
  private double rowsSquared;
  private double rowsTimesTime;
  private double fixed = 1;
  private double perRow = PRIOR_SLOPE;

  /** A step of so many rows took {@code nanos}. */
  public void observe(int rows, long nanos) {
    if (rows > MAX_ROWS || nanos <= 0) {
      return;
    }
    double time = weight == 0 ? nanos : Math.min(nanos, 2 * (fixed + perRow * rows));
    weight = KEEP * weight + 1;
    rowsSum = KEEP * rowsSum + rows;
    timeSum = KEEP * timeSum + time;
    rowsSquared = KEEP * rowsSquared + (double) rows * rows;
    rowsTimesTime = KEEP * rowsTimesTime + rows * time;
    fit();
  }

  /** The line through the steps and two imagined ones of 1 and 8 rows on the prior's line. */
  private void fit() {
    double unit = timeSum / (weight + PRIOR_SLOPE * rowsSum);
    double one = unit * (1 + PRIOR_SLOPE);
    double many = unit * (1 + PRIOR_SLOPE * PRIOR_ROWS);
    double n = weight + 2 * PRIOR_WEIGHT;
    double x = (rowsSum + PRIOR_WEIGHT * (1 + PRIOR_ROWS)) / n;
    double y = (timeSum + PRIOR_WEIGHT * (one + many)) / n;
    double xx = (rowsSquared + PRIOR_WEIGHT * (1 + PRIOR_ROWS * PRIOR_ROWS)) / n - x * x;
    double xy = (rowsTimesTime + PRIOR_WEIGHT * (one + PRIOR_ROWS * many)) / n - x * y;
    perRow = Math.min(y / x, Math.max(0.02 * y, xy / xx)); // neither free nor all there is
    fixed = y - perRow * x;
  }

  /**
   * A row that yields {@code chance} tokens clearly raises tokens per second.
   *
   * @param rows in the step without it
   * @param tokens that the step is expected to yield without it
   */
  public boolean pays(double chance, int rows, double tokens) {
    return chance * (fixed + perRow * rows) > MARGIN * tokens * perRow;
  }
}
