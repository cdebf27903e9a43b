package io.chorale.quant;

/**
 * Rows of a Q4_0 or Q4_1 matrix taken apart for kernels that want another layout: {@code x[i] =
 * nibbles[i] * scales[i / 32] + mins[i / 32]}, exact for both formats (Q4_0 has min = -8 * scale).
 *
 * @param nibbles 0..15, one a byte, [rows, cols] in element order
 * @param scales float32, [rows, cols / 32]
 * @param mins float32, [rows, cols / 32]
 */
public record AffineBlocks(byte[] nibbles, float[] scales, float[] mins) {
  /** Elements that share a scale. */
  public static final int BLOCK = 32;
}
