package io.chorale.train.watch;

/**
 * A mean that forgets: weighted, over about the last {@code horizon} values, and exact from the
 * first on (no start at zero).
 */
public final class Smoothed {
  private final double keep;
  private double sum;
  private double weights;

  /**
   * @param horizon in values, 1 or more
   */
  public Smoothed(int horizon) {
    this.keep = 1 - 1.0 / Math.max(1, horizon);
  }

  /** A horizon that shows a run's course: a twentieth of it, 5 to 50 steps. */
  public static Smoothed ofRun(int totalSteps) {
    return new Smoothed(Math.max(5, Math.min(50, totalSteps / 20)));
  }

  /** Takes one value in and returns the mean; what is not finite is left out. */
  public double add(double value, double weight) {
    if (Double.isFinite(value) && weight > 0) {
      sum = keep * sum + weight * value;
      weights = keep * weights + weight;
    }
    return value();
  }

  /** The mean; NaN before the first value. */
  public double value() {
    return weights == 0 ? Double.NaN : sum / weights;
  }
}
