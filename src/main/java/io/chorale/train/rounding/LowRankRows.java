package io.chorale.train.rounding;

/**
 * Rows of {@code W + left * right}, summed in float64 in one order: left [rows, rank], right [rank,
 * cols], both row-major.
 */
public final class LowRankRows {
  private final double[] left;
  private final double[] right;
  private final int rank;
  private final int cols;

  public LowRankRows(double[] left, double[] right, int rank, int cols) {
    if (right.length != (long) rank * cols || left.length % rank != 0) {
      throw new IllegalArgumentException(
          "factors of %d and %d values, wanted rows * %d and %d * %d"
              .formatted(left.length, right.length, rank, rank, cols));
    }
    this.left = left;
    this.right = right;
    this.rank = rank;
    this.cols = cols;
  }

  /** {@code scaling * b} times {@code a}: b [rows, rank], a [rank, cols], float32. */
  public static LowRankRows of(float[] b, float[] a, int rank, int cols, float scaling) {
    return new LowRankRows(doubles(b, scaling), doubles(a, 1), rank, cols);
  }

  /** Values times a factor, in float64. */
  public static double[] doubles(float[] values, double factor) {
    double[] out = new double[values.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = values[i] * factor;
    }
    return out;
  }

  /** One row of the sum, given W's at {@code w[at]}. */
  public double[] row(int row, float[] w, int at) {
    double[] v = new double[cols];
    row(row, w, at, v);
    return v;
  }

  /** As {@link #row(int, float[], int)}, written over v of at least {@code cols} elements. */
  public void row(int row, float[] w, int at, double[] v) {
    for (int c = 0; c < cols; c++) {
      v[c] = w[at + c];
    }
    for (int r = 0; r < rank; r++) {
      double factor = left[row * rank + r];
      int start = r * cols;
      for (int c = 0; c < cols; c++) {
        v[c] += factor * right[start + c];
      }
    }
  }
}
