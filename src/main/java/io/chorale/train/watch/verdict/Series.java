package io.chorale.train.watch.verdict;

import java.util.Arrays;

/** Numbers in the order they came, and robust statistics of them. One thread. */
final class Series {
  private static final double MAD_TO_SIGMA = 1.4826;

  private double[] values = new double[64];
  private int size;

  void add(double value) {
    if (size == values.length) {
      values = Arrays.copyOf(values, 2 * size);
    }
    values[size++] = value;
  }

  int size() {
    return size;
  }

  double last() {
    return values[size - 1];
  }

  /** Median of {@code from..to-1}, cut to what is there; NaN if that is nothing. */
  double median(int from, int to) {
    int start = Math.max(0, from);
    int end = Math.min(size, to);
    if (start >= end) {
      return Double.NaN;
    }
    double[] sorted = Arrays.copyOfRange(values, start, end);
    Arrays.sort(sorted);
    int half = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  double max(int from, int to) {
    double most = Double.NEGATIVE_INFINITY;
    for (int i = Math.max(0, from); i < Math.min(size, to); i++) {
      most = Math.max(most, values[i]);
    }
    return most;
  }

  /** How many of the last {@code count} are above a bound. */
  int above(double bound, int count) {
    int above = 0;
    for (int i = Math.max(0, size - count); i < size; i++) {
      above += values[i] > bound ? 1 : 0;
    }
    return above;
  }

  /** Mean of {@code from..to-1} with values beyond 3 sigma of their median pulled in to it. */
  double mean(int from, int to) {
    double median = median(from, to);
    double reach = 3 * noise(from, to);
    double sum = 0;
    for (int i = from; i < to; i++) {
      sum += Math.max(median - reach, Math.min(median + reach, values[i]));
    }
    return sum / (to - from);
  }

  /**
   * Standard deviation from step to step: from the median of the differences of neighbours, so that
   * neither a trend nor a few outliers count.
   */
  double noise(int from, int to) {
    int start = Math.max(0, from);
    int end = Math.min(size, to);
    if (end - start < 3) {
      return 0;
    }
    double[] differences = new double[end - start - 1];
    for (int i = 0; i < differences.length; i++) {
      differences[i] = Math.abs(values[start + i + 1] - values[start + i]);
    }
    Arrays.sort(differences);
    return MAD_TO_SIGMA * differences[differences.length / 2] / Math.sqrt(2);
  }
}
