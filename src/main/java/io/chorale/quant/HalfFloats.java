package io.chorale.quant;

/** IEEE 754 half precision and bfloat16 to and from float32, round to nearest even. Any thread. */
public final class HalfFloats {
  private HalfFloats() {}

  /** The float32 with the value of half precision {@code bits}, of which the low 16 count. */
  public static float halfToFloat(int bits) {
    int sign = (bits & 0x8000) << 16;
    int magnitude = bits & 0x7fff;
    if (magnitude >= 0x7c00) {
      return Float.intBitsToFloat(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    }
    // Exponent bias 15 becomes 127 by a multiplication, which also normalises subnormals exactly.
    float value = Float.intBitsToFloat(magnitude << 13) * 0x1p112f;
    return Float.intBitsToFloat(Float.floatToRawIntBits(value) | sign);
  }

  /** Half precision bits of {@code value}; too large becomes infinity. */
  public static short floatToHalf(float value) {
    int bits = Float.floatToRawIntBits(value);
    int sign = bits >>> 16 & 0x8000;
    int magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) {
      return (short) (sign | 0x7e00);
    }
    if (magnitude >= 0x477ff000) { // 65520 and above round to infinity
      return (short) (sign | 0x7c00);
    }
    if (magnitude < 0x38800000) { // below 2^-14: units of 2^-24, rounded by adding 2^23 ulps
      float shifted = Float.intBitsToFloat(magnitude) * 0x1p24f;
      return (short) (sign | (int) Math.rint(shifted));
    }
    int rounded = magnitude + 0xfff + (magnitude >>> 13 & 1);
    return (short) (sign | rounded - 0x38000000 >>> 13);
  }

  /** The float32 with the value of bfloat16 {@code bits}, of which the low 16 count. */
  public static float bfloat16ToFloat(int bits) {
    return Float.intBitsToFloat(bits << 16);
  }
}
