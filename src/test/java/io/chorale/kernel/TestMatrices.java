package io.chorale.kernel;

import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;

/** Random weights in a stored format, made of random codes and scales rather than by rounding. */
final class TestMatrices {
  private TestMatrices() {}

  static Matrix upload(Ops ops, float[] values, int rows, int cols) {
    return ops.matrix(rows, cols, values);
  }

  static PackedMatrix random(Random random, String format, int rows, int cols) {
    return switch (format) {
      case "NF4" ->
          Nf4Matrix.of(
              rows, cols, codes(random, rows * cols / 2), absmax(random, rows * cols / 64));
      case "NF4_DQ" -> doubleQuantized(random, rows, cols);
      default -> ggml(random, TensorType.valueOf(format), rows, cols);
    };
  }

  private static PackedMatrix doubleQuantized(Random random, int rows, int cols) {
    int blocks = rows * cols / 64;
    byte[] codes = new byte[blocks];
    random.nextBytes(codes);
    float[] map = new float[256];
    for (int i = 0; i < 256; i++) {
      map[i] = (i - 128) / 300f;
    }
    Nf4Matrix.DoubleQuant scales =
        new Nf4Matrix.DoubleQuant(codes, absmax(random, (blocks + 255) / 256), map, 0.9f);
    return Nf4Matrix.of(rows, cols, codes(random, rows * cols / 2), scales);
  }

  private static PackedMatrix ggml(Random random, TensorType type, int rows, int cols) {
    int blocks = rows * cols / type.blockElements();
    ByteBuffer out = ByteBuffer.allocate(blocks * type.blockBytes()).order(ByteOrder.LITTLE_ENDIAN);
    for (int b = 0; b < blocks; b++) {
      switch (type) {
        case F32 -> out.putFloat((float) random.nextGaussian() * 0.1f);
        case F16 -> out.putShort(half(random));
        default -> {
          out.putShort(half(random));
          if (type == TensorType.Q4_1) {
            out.putShort(half(random));
          }
          byte[] codes = new byte[type == TensorType.Q8_0 ? 32 : 16];
          random.nextBytes(codes);
          out.put(codes);
        }
      }
    }
    return new GgmlMatrix(type, rows, cols, out.flip());
  }

  /** A float16 between 2^-6 and 2^-3 in size, of either sign. */
  private static short half(Random random) {
    int exponent = 9 + random.nextInt(3);
    return (short) (random.nextInt(2) << 15 | exponent << 10 | random.nextInt(1024));
  }

  private static ByteBuffer codes(Random random, int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return ByteBuffer.wrap(bytes);
  }

  private static float[] absmax(Random random, int count) {
    float[] out = new float[count];
    for (int i = 0; i < count; i++) {
      out[i] = 0.05f + random.nextFloat();
    }
    return out;
  }
}
