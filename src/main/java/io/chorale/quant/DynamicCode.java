package io.chorale.quant;

import java.util.Arrays;

/**
 * bitsandbytes' signed dynamic 8-bit code, in which double quantization stores scales: 256
 * ascending values in [-0.993, 1]; seven decades, each with twice the values of the one below.
 *
 * <p>Source: Dettmers 2015, arXiv:1511.04561; bitsandbytes functional.create_dynamic_map.
 */
final class DynamicCode {
  private static final int DECADES = 7;
  private static final int GROUP = Nf4Matrix.DoubleQuant.BLOCK_SIZE;

  private DynamicCode() {}

  /** The 256 values; a fresh array. */
  static float[] values() {
    float[] values = new float[256];
    int n = 0;
    for (int decade = 0; decade < DECADES; decade++) {
      int items = 1 << decade;
      float unit = (float) Math.pow(10, decade - (DECADES - 1));
      for (int i = 0; i < items; i++) {
        float mean = (step(i, items) + step(i + 1, items)) / 2;
        values[n++] = unit * mean;
        values[n++] = -unit * mean;
      }
    }
    values[n++] = 0;
    values[n] = 1;
    Arrays.sort(values);
    return values;
  }

  /**
   * torch.linspace(0.1, 1, items + 1)[i] in float32, which counts from the nearer end and rounds
   * once.
   */
  private static float step(int i, int items) {
    float width = (1f - 0.1f) / items;
    return i < (items + 1) / 2 ? Math.fma(width, i, 0.1f) : Math.fma(-width, items - i, 1f);
  }

  /** Takes the mean off the scales and codes the rest in groups of 256. */
  static Nf4Matrix.DoubleQuant doubleQuantize(float[] scales) {
    double sum = 0;
    for (float s : scales) {
      sum += s;
    }
    float offset = (float) (sum / scales.length);
    float[] code = values();
    byte[] codes = new byte[scales.length];
    float[] absmax = new float[(scales.length + GROUP - 1) / GROUP];
    for (int g = 0; g < absmax.length; g++) {
      int from = g * GROUP;
      int to = Math.min(scales.length, from + GROUP);
      float max = 0;
      for (int i = from; i < to; i++) {
        max = Math.max(max, Math.abs(scales[i] - offset));
      }
      absmax[g] = max;
      for (int i = from; i < to; i++) {
        codes[i] = (byte) nearest(code, max == 0 ? 0 : (scales[i] - offset) / max);
      }
    }
    return new Nf4Matrix.DoubleQuant(codes, absmax, code, offset);
  }

  private static int nearest(float[] code, float v) {
    int lo = 0;
    int hi = code.length - 1;
    while (lo < hi) {
      int mid = (lo + hi) >>> 1;
      if (v > (code[mid] + code[mid + 1]) / 2) {
        lo = mid + 1;
      } else {
        hi = mid;
      }
    }
    return lo;
  }
}
