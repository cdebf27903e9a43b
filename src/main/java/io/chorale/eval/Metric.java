package io.chorale.eval;

/**
 * One number of one test for one model, kept by document so that it can be resampled: {@code
 * transform(sum(num) / sum(den))}.
 *
 * @param name such as acc, acc_norm, token_perplexity
 * @param higherIsBetter false for losses and perplexities
 * @param transform of the ratio
 * @param num [documents], not changed by anyone
 * @param den [documents], 1 for a mean
 */
public record Metric(
    String name, boolean higherIsBetter, Transform transform, double[] num, double[] den) {

  /** What is told of a ratio of sums. */
  public enum Transform {
    /** The ratio itself, such as nats per token. */
    RATIO,
    /** A share of documents, told in per cent. */
    SHARE,
    /** {@code exp} of the ratio, such as a perplexity. */
    EXP
  }

  public Metric {
    if (num.length != den.length || num.length == 0) {
      throw new IllegalArgumentException(
          "metric %s has %d and %d documents, wanted as many and at least one"
              .formatted(name, num.length, den.length));
    }
  }

  /** The share of documents that scored. */
  public static Metric share(String name, double[] scores) {
    double[] ones = new double[scores.length];
    java.util.Arrays.fill(ones, 1);
    return new Metric(name, true, Transform.SHARE, scores, ones);
  }

  public int documents() {
    return num.length;
  }

  /** Over all documents. */
  public double value() {
    double top = 0;
    double bottom = 0;
    for (int i = 0; i < num.length; i++) {
      top += num[i];
      bottom += den[i];
    }
    return of(top, bottom);
  }

  /** Over documents that may repeat. */
  public double value(int[] documents) {
    double top = 0;
    double bottom = 0;
    for (int i : documents) {
      top += num[i];
      bottom += den[i];
    }
    return of(top, bottom);
  }

  private double of(double top, double bottom) {
    return transform == Transform.EXP ? Math.exp(top / bottom) : top / bottom;
  }
}
