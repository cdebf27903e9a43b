package io.chorale.quant;

/**
 * A weight matrix on the host in the bytes it was stored in: {@code [rows, cols]} row-major, {@code
 * y = W x} maps cols inputs to rows outputs. Immutable; any thread.
 */
public interface PackedMatrix {
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
   */
  void dequantizeRows(int from, int to, float[] out);
}
