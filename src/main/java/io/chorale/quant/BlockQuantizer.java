package io.chorale.quant;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Packs float matrices into GGUF's blocks of 32, with the same bytes as gguf-py's {@code
 * quants.quantize} for Q4_0, Q4_1 and Q8_0. {@link #q4} picks, block by block, whichever of Q4_0's
 * and Q4_1's rules errs less and stores it as Q4_1, which holds both: {@code (q - 8) d = q d + (-8
 * d)}. Scales are computed in float32 and rounded to half precision after the values are chosen, as
 * in ggml. Any thread.
 */
public final class BlockQuantizer {
  private static final int BLOCK = 32;

  private BlockQuantizer() {}

  /** Packs a row of floats into blocks from {@code out}'s position on. */
  private interface BlockPacker {
    void pack(float[] x, int at, ByteBuffer out);
  }

  /**
   * Q8_0, 8.5 bits a weight.
   *
   * @throws IllegalArgumentException if columns are no multiple of 32 or a value is not finite
   */
  public static GgmlMatrix q8(PackedMatrix source) {
    return pack(source, TensorType.Q8_0, BlockQuantizer::packQ8);
  }

  /** The better of Q4_0 and Q4_1 for each block, stored as Q4_1; 5 bits a weight. */
  public static GgmlMatrix q4(PackedMatrix source) {
    return pack(source, TensorType.Q4_1, BlockQuantizer::packBetterQ4);
  }

  /** Plain Q4_1. */
  public static GgmlMatrix q4x1(PackedMatrix source) {
    return pack(source, TensorType.Q4_1, (x, at, out) -> Q4Block.affine(x, at).writeQ4x1(out));
  }

  /** Plain Q4_0. */
  public static GgmlMatrix q4x0(PackedMatrix source) {
    return pack(source, TensorType.Q4_0, (x, at, out) -> Q4Block.symmetric(x, at).writeQ4x0(out));
  }

  private static GgmlMatrix pack(PackedMatrix source, TensorType type, BlockPacker packer) {
    int cols = source.cols();
    if (cols % BLOCK != 0) {
      throw new IllegalArgumentException(
          "%s wants columns in blocks of %d, had %d".formatted(type, BLOCK, cols));
    }
    long bytes = source.rows() * type.bytes(cols);
    ByteBuffer out = ByteBuffer.allocate(Math.toIntExact(bytes)).order(ByteOrder.LITTLE_ENDIAN);
    int rowsAtOnce = Math.max(1, (1 << 16) / cols);
    float[] x = new float[rowsAtOnce * cols];
    for (int from = 0; from < source.rows(); from += rowsAtOnce) {
      int to = Math.min(source.rows(), from + rowsAtOnce);
      source.dequantizeRows(from, to, x);
      int count = (to - from) * cols;
      refuseNonFinite(x, count, from, cols);
      for (int at = 0; at < count; at += BLOCK) {
        packer.pack(x, at, out);
      }
    }
    return new GgmlMatrix(type, source.rows(), cols, out.flip());
  }

  /** Refuses NaN and infinity, which no block format can hold. */
  static void refuseNonFinite(float[] x, int count, int firstRow, int cols) {
    for (int i = 0; i < count; i++) {
      if (!(Math.abs(x[i]) <= Float.MAX_VALUE)) {
        throw new IllegalArgumentException(
            "row %d column %d is %s, wanted finite weights"
                .formatted(firstRow + i / cols, i % cols, x[i]));
      }
    }
  }

  private static void packQ8(float[] x, int at, ByteBuffer out) {
    float max = 0;
    for (int i = 0; i < BLOCK; i++) {
      max = Math.max(max, Math.abs(x[at + i]));
    }
    float d = max / 127;
    float inverse = d == 0 ? 0 : 1 / d;
    out.putShort(HalfFloats.floatToHalf(d));
    for (int i = 0; i < BLOCK; i++) {
      float scaled = x[at + i] * inverse;
      float magnitude = Math.abs(scaled);
      int floor = (int) magnitude;
      int rounded = floor + (int) (2 * (magnitude - floor)); // half away from zero
      out.put((byte) (scaled < 0 ? -rounded : rounded));
    }
  }

  private static void packBetterQ4(float[] x, int at, ByteBuffer out) {
    Q4Block affine = Q4Block.affine(x, at);
    Q4Block symmetric = Q4Block.symmetric(x, at);
    Q4Block better = symmetric.error(x, at) < affine.error(x, at) ? symmetric : affine;
    better.writeQ4x1(out);
  }

  /** One block: {@code x = nibbles[i] * scale + min}; scale and min are half precision bits. */
  private record Q4Block(byte[] nibbles, short scale, short min) {

    static Q4Block affine(float[] x, int at) {
      float min = x[at];
      float max = x[at];
      for (int i = 1; i < BLOCK; i++) {
        min = Math.min(min, x[at + i]);
        max = Math.max(max, x[at + i]);
      }
      float d = (max - min) / 15;
      float inverse = d == 0 ? 0 : 1 / d;
      byte[] q = new byte[BLOCK];
      for (int i = 0; i < BLOCK; i++) {
        q[i] = (byte) Math.min(15, (int) ((x[at + i] - min) * inverse + 0.5f));
      }
      return new Q4Block(q, HalfFloats.floatToHalf(d), HalfFloats.floatToHalf(min));
    }

    static Q4Block symmetric(float[] x, int at) {
      float extreme = 0;
      for (int i = 0; i < BLOCK; i++) {
        extreme = Math.abs(x[at + i]) > Math.abs(extreme) ? x[at + i] : extreme;
      }
      float d = extreme / -8;
      float inverse = d == 0 ? 0 : 1 / d;
      byte[] q = new byte[BLOCK];
      for (int i = 0; i < BLOCK; i++) {
        q[i] = (byte) Math.min(15, (int) (x[at + i] * inverse + 8.5f));
      }
      short scale = HalfFloats.floatToHalf(d);
      float min = -8 * HalfFloats.halfToFloat(scale);
      return new Q4Block(q, scale, HalfFloats.floatToHalf(min));
    }

    /** Sum of squared errors with the scales as stored; infinite if they are. */
    double error(float[] x, int at) {
      float d = HalfFloats.halfToFloat(scale);
      float m = HalfFloats.halfToFloat(min);
      double sum = 0;
      for (int i = 0; i < BLOCK; i++) {
        double e = (nibbles[i] * d + m) - x[at + i];
        sum += e * e;
      }
      return Double.isNaN(sum) ? Double.POSITIVE_INFINITY : sum;
    }

    void writeQ4x1(ByteBuffer out) {
      out.putShort(scale);
      out.putShort(min);
      writeNibbles(out);
    }

    void writeQ4x0(ByteBuffer out) {
      out.putShort(scale);
      writeNibbles(out);
    }

    private void writeNibbles(ByteBuffer out) {
      for (int j = 0; j < BLOCK / 2; j++) {
        out.put((byte) (nibbles[j] | nibbles[j + BLOCK / 2] << 4));
      }
    }
  }
}
