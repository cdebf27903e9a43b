package io.chorale.quant;

/**
 * Unpacks GGUF's K formats, 256 elements a block, bit for bit as gguf-py:
 *
 * <pre>
 *   Q4_K  f16 d, f16 dmin, 12 B of 8 six-bit scales and mins, 128 B nibbles   x = d*sc*q - dmin*m
 *   Q5_K  the same with 32 B of fifth bits before the nibbles
 *   Q6_K  128 B low nibbles, 64 B high pairs, 16 int8 scales, f16 d           x = d*sc*(q - 32)
 * </pre>
 *
 * A scale covers 32 elements in Q4_K and Q5_K, 16 in Q6_K. Any thread.
 */
final class KQuantDecoder {
  private static final int HIGH_BITS = 16;

  private KQuantDecoder() {}

  static void q4k(byte[] in, int blocks, float[] out, int start) {
    for (int b = 0; b < blocks; b++) {
      int p = b * 144;
      float d = BlockDecoder.half(in, p);
      float dmin = BlockDecoder.half(in, p + 2);
      for (int group = 0; group < 8; group++) {
        float scale = d * scale(in, p + 4, group);
        float min = dmin * min(in, p + 4, group);
        int qs = p + 16 + (group >> 1) * 32;
        int shift = (group & 1) * 4;
        int o = start + b * 256 + group * 32;
        for (int l = 0; l < 32; l++) {
          out[o + l] = scale * (in[qs + l] >> shift & 15) - min;
        }
      }
    }
  }

  static void q5k(byte[] in, int blocks, float[] out, int start) {
    for (int b = 0; b < blocks; b++) {
      int p = b * 176;
      float d = BlockDecoder.half(in, p);
      float dmin = BlockDecoder.half(in, p + 2);
      for (int group = 0; group < 8; group++) {
        float scale = d * scale(in, p + 4, group);
        float min = dmin * min(in, p + 4, group);
        int qh = p + HIGH_BITS;
        int qs = qh + 32 + (group >> 1) * 32;
        int shift = (group & 1) * 4;
        int o = start + b * 256 + group * 32;
        for (int l = 0; l < 32; l++) {
          int q = in[qs + l] >> shift & 15 | (in[qh + l] >> group & 1) << 4;
          out[o + l] = scale * q - min;
        }
      }
    }
  }

  static void q6k(byte[] in, int blocks, float[] out, int start) {
    for (int b = 0; b < blocks; b++) {
      int p = b * 210;
      float d = BlockDecoder.half(in, p + 208);
      for (int half = 0; half < 2; half++) {
        for (int quarter = 0; quarter < 4; quarter++) {
          int ql = p + half * 64 + (quarter & 1) * 32;
          int qh = p + 128 + half * 32;
          int lowShift = (quarter >> 1) * 4;
          int highShift = quarter * 2;
          int scales = p + 192 + half * 8 + quarter * 2;
          int o = start + b * 256 + half * 128 + quarter * 32;
          for (int l = 0; l < 32; l++) {
            int q = in[ql + l] >> lowShift & 15 | (in[qh + l] >> highShift & 3) << 4;
            out[o + l] = d * in[scales + (l >> 4)] * (q - 32);
          }
        }
      }
    }
  }

  private static int scale(byte[] in, int s, int group) {
    return group < 4
        ? in[s + group] & 63
        : in[s + group + 4] & 15 | (in[s + group - 4] >> 6 & 3) << 4;
  }

  private static int min(byte[] in, int s, int group) {
    return group < 4
        ? in[s + group + 4] & 63
        : in[s + group + 4] >> 4 & 15 | (in[s + group] >> 6 & 3) << 4;
  }
}
