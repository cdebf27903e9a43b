package io.chorale.train.watch.report;

import java.util.Arrays;

/**
 * One line of a plot.
 *
 * @param name in the legend
 * @param style its CSS class: {@code raw}, {@code smooth}, {@code eval}, {@code limit}
 * @param x ascending
 * @param y same length; what is not finite leaves a gap
 */
record Curve(String name, String style, double[] x, double[] y) {
  /** At most about {@code columns} spans, each by its lowest and highest point. */
  Curve thinned(int columns) {
    int n = x.length;
    if (n <= 2 * columns) {
      return this;
    }
    double[] thinX = new double[2 * columns];
    double[] thinY = new double[2 * columns];
    for (int c = 0; c < columns; c++) {
      int from = (int) ((long) c * n / columns);
      int to = (int) ((long) (c + 1) * n / columns);
      int low = from;
      int high = from;
      for (int i = from; i < to; i++) {
        low = y[i] < y[low] ? i : low;
        high = y[i] > y[high] ? i : high;
      }
      thinX[2 * c] = x[Math.min(low, high)];
      thinY[2 * c] = y[Math.min(low, high)];
      thinX[2 * c + 1] = x[Math.max(low, high)];
      thinY[2 * c + 1] = y[Math.max(low, high)];
    }
    return new Curve(name, style, thinX, thinY);
  }

  /** The value below which this share of the finite ones lies; NaN if there are none. */
  double quantile(double share) {
    double[] sorted = Arrays.stream(y).filter(Double::isFinite).sorted().toArray();
    return sorted.length == 0 ? Double.NaN : sorted[(int) Math.round(share * (sorted.length - 1))];
  }

  /** The last value at or before a place; NaN if there is none. */
  double valueAt(double place) {
    int at = Arrays.binarySearch(x, place);
    int index = at >= 0 ? at : -at - 2;
    return index < 0 ? Double.NaN : y[index];
  }
}
