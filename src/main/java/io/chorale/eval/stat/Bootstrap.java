package io.chorale.eval.stat;

import io.chorale.eval.Metric.Transform;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Percentile bootstrap over documents (Efron and Tibshirani 1993, chapter 13): so many times as
 * many documents are drawn with replacement, within each test of a group, and the number is taken
 * again. A difference draws the same documents for both sides, so that what a document adds to both
 * cancels.
 *
 * <p>Where all documents of a share score alike, resampling sees no spread; the interval is then
 * Wilson's (1927), which knows how few documents there were.
 *
 * @param resamples how often, such as 2000
 * @param seed of the draws; the same seed draws the same documents for every metric of a test
 */
public record Bootstrap(int resamples, long seed) {
  private static final double Z = 1.959963984540054;

  public Bootstrap {
    if (resamples < 100) {
      throw new IllegalArgumentException(
          "bootstrap resamples is %d, wanted 100 or more".formatted(resamples));
    }
  }

  /** The number and its interval. */
  public Estimate of(Strata strata) {
    boolean share = strata.first().transform() == Transform.SHARE;
    if (share && strata.parts().size() == 1 && isConstant(strata.first().num())) {
      return wilson(strata.first().value(), strata.documents());
    }
    SplittableRandom random = new SplittableRandom(seed);
    int[][] drawn = room(strata);
    double[] values = new double[resamples];
    for (int i = 0; i < resamples; i++) {
      draw(random, drawn);
      values[i] = strata.value(drawn);
    }
    return interval(strata.value(), values);
  }

  /**
   * {@code candidate - base} and its interval, paired.
   *
   * @throws IllegalArgumentException if the two have not the same documents
   */
  public Estimate difference(Strata candidate, Strata base) {
    for (int i = 0; i < base.parts().size(); i++) {
      if (candidate.parts().get(i).documents() != base.parts().get(i).documents()) {
        throw new IllegalArgumentException("a paired difference wants the same documents");
      }
    }
    SplittableRandom random = new SplittableRandom(seed);
    int[][] drawn = room(base);
    double[] values = new double[resamples];
    for (int i = 0; i < resamples; i++) {
      draw(random, drawn);
      values[i] = candidate.value(drawn) - base.value(drawn);
    }
    return interval(candidate.value() - base.value(), values);
  }

  private static int[][] room(Strata strata) {
    return strata.parts().stream().map(part -> new int[part.documents()]).toArray(int[][]::new);
  }

  private static void draw(SplittableRandom random, int[][] drawn) {
    for (int[] documents : drawn) {
      for (int i = 0; i < documents.length; i++) {
        documents[i] = random.nextInt(documents.length);
      }
    }
  }

  private static Estimate interval(double value, double[] values) {
    Arrays.sort(values);
    return new Estimate(value, quantile(values, 0.025), quantile(values, 0.975));
  }

  /** Linear between order statistics, as numpy's default. */
  static double quantile(double[] sorted, double share) {
    double at = share * (sorted.length - 1);
    int below = (int) Math.floor(at);
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
  }

  private static boolean isConstant(double[] values) {
    return Arrays.stream(values).allMatch(value -> value == values[0]);
  }

  static Estimate wilson(double share, int documents) {
    double zz = Z * Z / documents;
    double middle = (share + zz / 2) / (1 + zz);
    double half = Z / (1 + zz) * Math.sqrt(share * (1 - share) / documents + zz / (4 * documents));
    return new Estimate(share, Math.max(0, middle - half), Math.min(1, middle + half));
  }
}
