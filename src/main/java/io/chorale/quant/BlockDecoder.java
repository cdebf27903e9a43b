package io.chorale.quant;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Unpacks GGUF block formats and float types to float32, bit for bit as gguf-py's {@code
 * quants.dequantize} (MIT, ggml-quants.c is its origin). Little-endian, QK = 32 elements a block:
 *
 * <pre>
 *   Q4_0  f16 d, 16 x 2 nibbles          x = (q - 8) * d     element j low nibble, j + 16 high
 *   Q4_1  f16 d, f16 m, 16 x 2 nibbles   x = q * d + m
 *   Q8_0  f16 d, 32 int8                 x = q * d
 * </pre>
 *
 * The K formats are in {@link KQuantDecoder}. Any thread; allocates one scratch array a call.
 */
public final class BlockDecoder {
  private static final int SCRATCH_BYTES = 1 << 16;

  private BlockDecoder() {}

  /** Whether {@link #decode} knows the type: all float and quantized types, no integers. */
  public static boolean decodes(TensorType type) {
    return switch (type) {
      case F32, F16, BF16, Q4_0, Q4_1, Q8_0, Q4_K, Q5_K, Q6_K -> true;
      case U8, I8, I16, I32, I64, BOOL -> false;
    };
  }

  /**
   * Unpacks {@code count} elements.
   *
   * @param source bytes of whole blocks; read at absolute positions, its position is not moved
   * @param offset byte position of the first block in {@code source}
   * @param count elements, whole blocks
   * @param out float32, written from {@code outOffset}
   * @throws IllegalArgumentException if the type holds no numbers to compute with
   */
  public static void decode(
      TensorType type, ByteBuffer source, int offset, int count, float[] out, int outOffset) {
    if (!decodes(type)) {
      throw new IllegalArgumentException(
          type + " is not a weight type; weights are F32, F16, BF16 or a GGUF block format");
    }
    if (type == TensorType.F32) {
      ByteBuffer part = source.slice(offset, count * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      part.asFloatBuffer().get(0, out, outOffset, count);
      return;
    }
    int blocksAtOnce = Math.max(1, SCRATCH_BYTES / type.blockBytes());
    int blocks = count / type.blockElements();
    byte[] scratch = new byte[Math.min(blocks, blocksAtOnce) * type.blockBytes()];
    for (int done = 0; done < blocks; done += blocksAtOnce) {
      int n = Math.min(blocksAtOnce, blocks - done);
      source.get(offset + done * type.blockBytes(), scratch, 0, n * type.blockBytes());
      decodeBlocks(type, scratch, n, out, outOffset + done * type.blockElements());
    }
  }

  private static void decodeBlocks(TensorType type, byte[] in, int blocks, float[] out, int o) {
    switch (type) {
      case F16 -> f16(in, blocks, out, o);
      case BF16 -> bf16(in, blocks, out, o);
      case Q4_0 -> q4x0(in, blocks, out, o);
      case Q4_1 -> q4x1(in, blocks, out, o);
      case Q8_0 -> q8x0(in, blocks, out, o);
      case Q4_K -> KQuantDecoder.q4k(in, blocks, out, o);
      case Q5_K -> KQuantDecoder.q5k(in, blocks, out, o);
      case Q6_K -> KQuantDecoder.q6k(in, blocks, out, o);
      case F32, U8, I8, I16, I32, I64, BOOL -> throw new IllegalArgumentException(type.name());
    }
  }

  /** The half precision number at {@code at}. */
  static float half(byte[] in, int at) {
    return HalfFloats.halfToFloat(in[at] & 0xff | in[at + 1] << 8);
  }

  private static void f16(byte[] in, int count, float[] out, int o) {
    for (int i = 0; i < count; i++) {
      out[o + i] = HalfFloats.halfToFloat(in[2 * i] & 0xff | in[2 * i + 1] << 8);
    }
  }

  private static void bf16(byte[] in, int count, float[] out, int o) {
    for (int i = 0; i < count; i++) {
      out[o + i] = HalfFloats.bfloat16ToFloat(in[2 * i] & 0xff | in[2 * i + 1] << 8);
    }
  }

  private static void q4x0(byte[] in, int blocks, float[] out, int start) {
    int p = 0;
    int o = start;
    for (int b = 0; b < blocks; b++, p += 18, o += 32) {
      float d = half(in, p);
      for (int j = 0; j < 16; j++) {
        int q = in[p + 2 + j];
        out[o + j] = ((q & 15) - 8) * d;
        out[o + 16 + j] = ((q >> 4 & 15) - 8) * d;
      }
    }
  }

  private static void q4x1(byte[] in, int blocks, float[] out, int start) {
    int p = 0;
    int o = start;
    for (int b = 0; b < blocks; b++, p += 20, o += 32) {
      float d = half(in, p);
      float m = half(in, p + 2);
      for (int j = 0; j < 16; j++) {
        int q = in[p + 4 + j];
        out[o + j] = (q & 15) * d + m;
        out[o + 16 + j] = (q >> 4 & 15) * d + m;
      }
    }
  }

  private static void q8x0(byte[] in, int blocks, float[] out, int start) {
    int p = 0;
    int o = start;
    for (int b = 0; b < blocks; b++, p += 34, o += 32) {
      float d = half(in, p);
      for (int j = 0; j < 32; j++) {
        out[o + j] = in[p + 2 + j] * d;
      }
    }
  }
}
