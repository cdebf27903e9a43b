package io.chorale.eval.stat;

import io.chorale.eval.Metric;
import java.util.List;

/**
 * A number that is the weighted sum of one metric over several tests: one test alone has weight 1.
 *
 * @param parts at least one
 * @param weights as many, their sum is 1
 */
public record Strata(List<Metric> parts, double[] weights) {
  public Strata {
    if (parts.isEmpty() || parts.size() != weights.length) {
      throw new IllegalArgumentException(
          "%d metrics with %d weights, wanted as many and at least one"
              .formatted(parts.size(), weights.length));
    }
  }

  public static Strata of(Metric metric) {
    return new Strata(List.of(metric), new double[] {1});
  }

  /**
   * A group of tests as the harness aggregates one: by size is the mean over all documents, else
   * the mean over tests.
   */
  public static Strata group(List<Metric> parts, boolean weightBySize) {
    double all = parts.stream().mapToInt(Metric::documents).sum();
    double[] weights =
        parts.stream()
            .mapToDouble(part -> weightBySize ? part.documents() / all : 1.0 / parts.size())
            .toArray();
    return new Strata(parts, weights);
  }

  public Metric first() {
    return parts.get(0);
  }

  public int documents() {
    return parts.stream().mapToInt(Metric::documents).sum();
  }

  public double value() {
    double sum = 0;
    for (int i = 0; i < weights.length; i++) {
      sum += weights[i] * parts.get(i).value();
    }
    return sum;
  }

  double value(int[][] documents) {
    double sum = 0;
    for (int i = 0; i < weights.length; i++) {
      sum += weights[i] * parts.get(i).value(documents[i]);
    }
    return sum;
  }
}
