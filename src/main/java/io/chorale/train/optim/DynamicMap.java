package io.chorale.train.optim;

import java.util.ArrayList;
import java.util.List;

/**
 * bitsandbytes' 8-bit dynamic codes, 256 sorted values in [-1, 1] or [0, 1]: seven decades, each
 * finer than the one below. Values equal {@code functional.create_dynamic_map}'s bits.
 *
 * <p>Source: Dettmers 2015, arXiv:1511.04561; Dettmers et al. 2021, arXiv:2110.02861.
 */
final class DynamicMap {
  /** First moments. */
  static final DynamicMap SIGNED = new DynamicMap(true);

  /** Second moments, which are never negative. */
  static final DynamicMap UNSIGNED = new DynamicMap(false);

  private static final int DECADES = 7;
  private static final int BINS = 1 << 16;

  final float[] values;
  private final float[] bounds; // between neighbours
  private final byte[] below; // for each bin of [-1, 1], how many bounds lie surely below it

  private DynamicMap(boolean signed) {
    values = values(signed);
    bounds = new float[values.length - 1];
    for (int i = 0; i < bounds.length; i++) {
      bounds[i] = (values[i] + values[i + 1]) / 2;
    }
    below = new byte[BINS + 1];
    int q = 0;
    for (int bin = 0; bin <= BINS; bin++) {
      float edge = (bin - 1) / (BINS / 2f) - 1f; // one bin of slack for rounding
      while (q < bounds.length && edge > bounds[q]) {
        q++;
      }
      below[bin] = (byte) q;
    }
  }

  private static float[] values(boolean signed) {
    List<Float> all = new ArrayList<>(List.of(0f, 1f));
    for (int decade = 0; decade < DECADES; decade++) {
      int steps = 1 << (signed ? decade : decade + 1);
      double scale = Math.pow(10, decade - (DECADES - 1));
      for (int i = 0; i < steps; i++) {
        float mean = (line(i, steps) + line(i + 1, steps)) / 2f;
        float value = (float) scale * mean;
        all.add(value);
        if (signed) {
          all.add(-value);
        }
      }
    }
    all.sort(null);
    float[] sorted = new float[all.size()];
    for (int i = 0; i < sorted.length; i++) {
      sorted[i] = all.get(i);
    }
    return sorted;
  }

  /** torch.linspace(0.1, 1, steps + 1)[i], which counts from the nearer end. */
  private static float line(int i, int steps) {
    float step = (1f - 0.1f) / steps;
    return i < (steps + 1) / 2 ? Math.fma(step, i, 0.1f) : Math.fma(-step, steps - i, 1f);
  }

  /** Index of the value nearest to {@code v} in [-1, 1]; the lower of two as near. */
  int nearest(float v) {
    int q = below[(int) ((v + 1f) * (BINS / 2))] & 0xff;
    while (q < bounds.length && v > bounds[q]) {
      q++;
    }
    return q;
  }
}
