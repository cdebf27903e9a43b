package io.chorale.eval.stat;

/**
 * A number with its 95 % interval.
 *
 * @param value over all documents as they are
 * @param low 2.5 % of the resampled values are below
 * @param high 2.5 % of the resampled values are above
 */
public record Estimate(double value, double low, double high) {
  public Estimate {
    value += 0.0; // never -0
    low += 0.0;
    high += 0.0;
  }

  /** Whether zero is outside, that is, a difference is more than chance. */
  public boolean excludesZero() {
    return low > 0 || high < 0;
  }

  /** Whether the two intervals have nothing in common. */
  public boolean isApartFrom(Estimate other) {
    return low > other.high || other.low > high;
  }
}
