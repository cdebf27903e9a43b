package io.chorale.train.merge;

import io.chorale.quant.BlockQuantizer;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.HalfFloats;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.Nf4Quantizer;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Float rows to a stored element type: rounded to nearest even, or quantized with gguf-py's or
 * bitsandbytes' own bytes. Any thread.
 */
final class RowPacker {
  private static final float LARGEST_HALF = 65504f;

  private RowPacker() {}

  /**
   * @param x at least rows * cols floats
   * @return little-endian, position 0 to limit
   * @throws IllegalArgumentException naming {@code what} for a value that the type cannot hold
   */
  static ByteBuffer pack(String what, TensorType type, int rows, int cols, float[] x) {
    try {
      return switch (type) {
        case F32, F16, BF16 -> floats(type, rows * cols, x);
        case Q8_0 -> BlockQuantizer.q8(f32(rows, cols, x)).blocks();
        case Q4_0 -> BlockQuantizer.q4x0(f32(rows, cols, x)).blocks();
        case Q4_1 -> BlockQuantizer.q4x1(f32(rows, cols, x)).blocks();
        case Q4_K, Q5_K, Q6_K, U8, I8, I16, I32, I64, BOOL ->
            throw new IllegalArgumentException("is not written as " + type);
      };
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(what + ": " + e.getMessage(), e);
    }
  }

  /** The same rows in NF4. */
  static Nf4Matrix nf4(String what, int rows, int cols, float[] x, boolean doubleQuant) {
    try {
      return Nf4Quantizer.quantize(f32(rows, cols, x), doubleQuant);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(what + ": " + e.getMessage(), e);
    }
  }

  /** Floats as a matrix. */
  static PackedMatrix f32(int rows, int cols, float[] x) {
    return new GgmlMatrix(TensorType.F32, rows, cols, raw(rows * cols, x));
  }

  private static ByteBuffer raw(int count, float[] x) {
    ByteBuffer out = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    out.asFloatBuffer().put(x, 0, count);
    return out;
  }

  private static ByteBuffer floats(TensorType type, int count, float[] x) {
    float largest = type == TensorType.F16 ? LARGEST_HALF : Float.MAX_VALUE;
    for (int i = 0; i < count; i++) {
      if (!(Math.abs(x[i]) <= largest)) {
        throw new IllegalArgumentException(
            "element %d is %s, %s holds up to %s; choose a wider type"
                .formatted(i, x[i], type, largest));
      }
    }
    if (type == TensorType.F32) {
      return raw(count, x);
    }
    ByteBuffer out = ByteBuffer.allocate(2 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      out.putShort(type == TensorType.F16 ? HalfFloats.floatToHalf(x[i]) : bfloat16(x[i]));
    }
    return out.flip();
  }

  private static short bfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }
}
