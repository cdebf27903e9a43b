package io.chorale.quant;

/**
 * A weight matrix on the host in the bytes it was stored in: {@code [rows, cols]} row-major, {@code
 * y = W x} maps cols inputs to rows outputs. Immutable; any thread.
 */
public sealed interface PackedMatrix permits GgmlMatrix, Nf4Matrix {
  int rows();

  int cols();

  /** Bytes of the stored form, scales included. */
  long bytes();

  /** The format's field name, such as {@code Q4_1}, {@code NF4}, {@code BF16}. */
  String formatName();

  /**
   * Writes rows {@code from .. to-1} as float32.
   *
   * @param out at least {@code (to - from) * cols} floats, filled from 0
   * @throws IllegalArgumentException if the rows are not there or {@code out} is too short
   */
  void dequantizeRows(int from, int to, float[] out);

  /** Refuses a row range outside the matrix or a result that does not fit; for implementations. */
  static void checkRows(PackedMatrix m, int from, int to, float[] out) {
    if (from < 0 || to < from || to > m.rows()) {
      throw new IllegalArgumentException(
          "rows %d..%d of a matrix with %d".formatted(from, to, m.rows()));
    }
    if ((long) (to - from) * m.cols() > out.length) {
      throw new IllegalArgumentException(
          "%d rows of %d columns do not fit into %d floats"
              .formatted(to - from, m.cols(), out.length));
    }
  }
}
