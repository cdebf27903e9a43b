package io.chorale.quant;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Optional;

/**
 * A matrix in bitsandbytes' NF4: {@code x[i] = CODE[q[i]] * absmax[i / 64]} over the flat row-major
 * matrix, so a block may straddle rows. Element 2k is the high nibble of byte k, 2k + 1 the low
 * one. Results are float32, before bitsandbytes' cast to the dtype of the model that was quantized.
 *
 * <p>Immutable; any thread. Source: Dettmers et al. 2023, arXiv:2305.14314; bitsandbytes
 * functional.py.
 */
public final class Nf4Matrix implements PackedMatrix {
  /** Elements that share a scale. */
  public static final int BLOCK_SIZE = 64;

  private static final float[] CODE = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f
  };

  /**
   * Scales that are themselves quantized to 8 bits: {@code absmax[b] = code[codes[b]] * absmax[b /
   * 256] + offset}.
   *
   * @param codes unsigned, one a block of the matrix
   * @param absmax float32, one per 256 codes
   * @param code float32 [256], ascending
   */
  public record DoubleQuant(byte[] codes, float[] absmax, float[] code, float offset) {
    /** Scales that share a scale. */
    public static final int BLOCK_SIZE = 256;

    private void decode(int from, float[] out) {
      for (int i = 0; i < out.length; i++) {
        int b = from + i;
        out[i] = code[codes[b] & 0xff] * absmax[b / BLOCK_SIZE] + offset;
      }
    }
  }

  private final int rows;
  private final int cols;
  private final ByteBuffer packed;
  private final float[] absmax;
  private final DoubleQuant doubleQuant;

  private Nf4Matrix(int rows, int cols, ByteBuffer packed, float[] absmax, DoubleQuant dq) {
    long elements = (long) rows * cols;
    int scales = absmax != null ? absmax.length : dq.codes().length;
    long blocks = (elements + BLOCK_SIZE - 1) / BLOCK_SIZE;
    if (rows < 1 || cols < 1 || packed.remaining() != (elements + 1) / 2 || scales != blocks) {
      throw new IllegalArgumentException(
          "NF4 matrix [%d, %d] takes %d bytes and %d scales, had %d and %d"
              .formatted(rows, cols, (elements + 1) / 2, blocks, packed.remaining(), scales));
    }
    this.rows = rows;
    this.cols = cols;
    this.packed = packed.slice().asReadOnlyBuffer();
    this.absmax = absmax;
    this.doubleQuant = dq;
  }

  /** A matrix with float32 scales; the arrays are kept, not copied. */
  public static Nf4Matrix of(int rows, int cols, ByteBuffer packed, float[] absmax) {
    return new Nf4Matrix(rows, cols, packed, absmax, null);
  }

  /** A matrix with 8-bit scales; the arrays are kept, not copied. */
  public static Nf4Matrix of(int rows, int cols, ByteBuffer packed, DoubleQuant scales) {
    int groups = (scales.codes().length + DoubleQuant.BLOCK_SIZE - 1) / DoubleQuant.BLOCK_SIZE;
    if (scales.absmax().length != groups || scales.code().length != 256) {
      throw new IllegalArgumentException(
          "%d double-quantized scales take %d group scales and a map of 256, had %d and %d"
              .formatted(
                  scales.codes().length, groups, scales.absmax().length, scales.code().length));
    }
    return new Nf4Matrix(rows, cols, packed, null, scales);
  }

  /** The 16 values of a nibble, ascending from -1 to 1; a copy. */
  public static float[] code() {
    return CODE.clone();
  }

  /**
   * Two elements a byte, high nibble first, flat; read-only, position 0; a fresh view each call.
   */
  public ByteBuffer packed() {
    return packed.duplicate();
  }

  /** Scale of every block of {@link #BLOCK_SIZE} flat elements, dequantized if need be; a copy. */
  public float[] absmax() {
    return absmax(0, absmax != null ? absmax.length : doubleQuant.codes().length);
  }

  /** The 8-bit scales, if the matrix is double-quantized. */
  public Optional<DoubleQuant> doubleQuant() {
    return Optional.ofNullable(doubleQuant);
  }

  @Override
  public int rows() {
    return rows;
  }

  @Override
  public int cols() {
    return cols;
  }

  @Override
  public long bytes() {
    long scales =
        absmax != null
            ? 4L * absmax.length
            : doubleQuant.codes().length + 4L * doubleQuant.absmax().length + 4;
    return packed.limit() + scales;
  }

  @Override
  public String formatName() {
    return doubleQuant == null ? "NF4" : "NF4_DQ";
  }

  @Override
  public void dequantizeRows(int from, int to, float[] out) {
    PackedMatrix.checkRows(this, from, to, out);
    long start = (long) from * cols;
    long end = (long) to * cols;
    if (start == end) {
      return;
    }
    int firstByte = (int) (start / 2);
    byte[] bytes = new byte[(int) ((end + 1) / 2) - firstByte];
    packed.get(firstByte, bytes);
    int firstBlock = (int) (start / BLOCK_SIZE);
    float[] scales = absmax(firstBlock, (int) ((end + BLOCK_SIZE - 1) / BLOCK_SIZE));
    float[] scaled = new float[16];
    for (int b = 0; b < scales.length; b++) {
      for (int q = 0; q < 16; q++) {
        scaled[q] = CODE[q] * scales[b];
      }
      long blockStart = (long) (firstBlock + b) * BLOCK_SIZE;
      int lo = (int) (Math.max(start, blockStart) - start);
      int hi = (int) (Math.min(end, blockStart + BLOCK_SIZE) - start);
      decode(bytes, (int) (start & 1), scaled, out, lo, hi);
    }
  }

  /**
   * @param odd 1 if out[0] is the low nibble of bytes[0]
   */
  private static void decode(byte[] bytes, int odd, float[] scaled, float[] out, int lo, int hi) {
    int i = lo;
    if (i < hi && (i + odd & 1) == 1) {
      out[i] = scaled[bytes[i + odd >> 1] & 15];
      i++;
    }
    for (; i + 1 < hi; i += 2) {
      int q = bytes[i + odd >> 1];
      out[i] = scaled[q >> 4 & 15];
      out[i + 1] = scaled[q & 15];
    }
    if (i < hi) {
      out[i] = scaled[bytes[i + odd >> 1] >> 4 & 15];
    }
  }

  private float[] absmax(int fromBlock, int toBlock) {
    if (absmax != null) {
      return Arrays.copyOfRange(absmax, fromBlock, toBlock);
    }
    float[] out = new float[toBlock - fromBlock];
    doubleQuant.decode(fromBlock, out);
    return out;
  }
}
