package io.chorale.train.watch.screen;

/** A curve as one line of eight heights. */
final class Sparkline {
  private static final String BLOCKS = "▁▂▃▄▅▆▇█";
  private static final String ASCII = "_.-~=+*#";

  private Sparkline() {}

  /**
   * @param values in time; means of equal spans if there are more than fit
   * @param width in characters, at most one a value
   * @param unicode draw with block elements, else with ASCII
   */
  static String of(double[] values, int width, boolean unicode) {
    int columns = Math.min(width, values.length);
    double[] means = new double[columns];
    double low = Double.POSITIVE_INFINITY;
    double high = Double.NEGATIVE_INFINITY;
    for (int c = 0; c < columns; c++) {
      int from = (int) ((long) c * values.length / columns);
      int to = (int) ((long) (c + 1) * values.length / columns);
      for (int i = from; i < to; i++) {
        means[c] += values[i] / (to - from);
      }
      if (Double.isFinite(means[c])) {
        low = Math.min(low, means[c]);
        high = Math.max(high, means[c]);
      }
    }
    StringBuilder line = new StringBuilder();
    for (double mean : means) {
      if (!Double.isFinite(mean)) {
        line.append('?');
        continue;
      }
      double share = high > low ? (mean - low) / (high - low) : 0;
      line.append((unicode ? BLOCKS : ASCII).charAt((int) Math.min(7, Math.floor(share * 8))));
    }
    return line.toString();
  }
}
