package io.chorale.quant;

import java.nio.ByteBuffer;

/**
 * Packs float matrices to NF4 with the same bytes as bitsandbytes' {@code
 * quantize_4bit(quant_type="nf4", blocksize=64)}: flat blocks of 64, scale = largest magnitude,
 * nearest of 16 values, a tie goes to the lower. Any thread.
 *
 * <p>With double quantization the scales less their mean become the nearest of 256 codes, in groups
 * of 256, as in bitsandbytes' CUDA and generic kernels; its CPU kernel rounds to 65536 bins first
 * and so takes the neighbouring code for about one scale in a thousand. The mean is summed in
 * float64; torch's float32 sum may differ in the last bit.
 */
public final class Nf4Quantizer {
  private static final int BLOCK = Nf4Matrix.BLOCK_SIZE;
  private static final int BINS = 4096;
  private static final float SMALLEST_SCALE = 1e-38f;

  /** Upper bound of each value's interval; the last has none. */
  private static final float[] BOUNDS = bounds(Nf4Matrix.code());

  /** For each bin of [-1, 1], how many bounds lie surely below it. */
  private static final byte[] BELOW = below();

  private Nf4Quantizer() {}

  /**
   * The matrix in NF4.
   *
   * @param doubleQuant quantize the scales too
   * @throws IllegalArgumentException if a value is not finite
   */
  public static Nf4Matrix quantize(PackedMatrix source, boolean doubleQuant) {
    int rows = source.rows();
    int cols = source.cols();
    long elements = (long) rows * cols;
    byte[] packed = new byte[Math.toIntExact((elements + 1) / 2)];
    float[] absmax = new float[(int) ((elements + BLOCK - 1) / BLOCK)];
    // Chunks of rows that are whole blocks; 64 rows always are.
    int rowsAtOnce = cols % BLOCK == 0 ? Math.max(1, (1 << 16) / cols) : BLOCK;
    float[] x = new float[Math.multiplyExact(Math.min(rows, rowsAtOnce), cols)];
    for (int from = 0; from < rows; from += rowsAtOnce) {
      int to = Math.min(rows, from + rowsAtOnce);
      source.dequantizeRows(from, to, x);
      int count = (to - from) * cols;
      BlockQuantizer.refuseNonFinite(x, count, from, cols);
      long start = (long) from * cols;
      for (int at = 0; at < count; at += BLOCK) {
        int n = Math.min(BLOCK, count - at);
        absmax[(int) ((start + at) / BLOCK)] =
            packBlock(x, at, n, packed, (int) ((start + at) / 2));
      }
    }
    ByteBuffer bytes = ByteBuffer.wrap(packed);
    return doubleQuant
        ? Nf4Matrix.of(rows, cols, bytes, DynamicCode.doubleQuantize(absmax))
        : Nf4Matrix.of(rows, cols, bytes, absmax);
  }

  /** Packs up to 64 values and returns their scale. */
  private static float packBlock(float[] x, int at, int n, byte[] out, int o) {
    float max = 0;
    for (int i = 0; i < n; i++) {
      max = Math.max(max, Math.abs(x[at + i]));
    }
    float scale = Math.max(max, SMALLEST_SCALE);
    float inverse = 1.0f / scale;
    boolean whole =
        n == BLOCK; // bitsandbytes multiplies whole blocks, divides the last partial one
    for (int i = 0; i < n; i += 2) {
      float first = whole ? x[at + i] * inverse : x[at + i] / scale;
      float second = 0;
      if (i + 1 < n) {
        second = whole ? x[at + i + 1] * inverse : x[at + i + 1] / scale;
      }
      out[o + i / 2] = (byte) (nearest(first) << 4 | nearest(second));
    }
    return whole ? max : scale;
  }

  /** Index of the value nearest to {@code v}; the lower of two as near. */
  private static int nearest(float v) {
    float clamped = Math.max(-1f, Math.min(1f, v));
    int q = BELOW[(int) ((clamped + 1f) * (BINS / 2))];
    while (q < BOUNDS.length && clamped > BOUNDS[q]) {
      q++;
    }
    return q;
  }

  private static float[] bounds(float[] code) {
    float[] bounds = new float[code.length - 1];
    for (int i = 0; i < bounds.length; i++) {
      bounds[i] = (code[i] + code[i + 1]) / 2;
    }
    return bounds;
  }

  private static byte[] below() {
    byte[] below = new byte[BINS + 1];
    for (int bin = 0; bin <= BINS; bin++) {
      float edge = (bin - 1) / (BINS / 2f) - 1f; // one bin of slack for rounding
      byte q = 0;
      while (q < BOUNDS.length && edge > BOUNDS[q]) {
        q++;
      }
      below[bin] = q;
    }
    return below;
  }
}
