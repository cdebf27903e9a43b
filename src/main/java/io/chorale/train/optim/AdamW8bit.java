package io.chorale.train.optim;

import io.chorale.quant.TensorType;
import io.chorale.train.model.Parameter;
import java.util.List;

/**
 * AdamW whose moments are 8-bit codes: blocks of 256 elements, each with its largest magnitude as
 * float32 scale, the first moment in the signed and the second in the unsigned {@link DynamicMap}.
 * A little over 2 bytes of state an element. Parameters below 4096 elements keep float32 moments.
 *
 * <p>State and arithmetic are those of bitsandbytes' {@code AdamW8bit} with its generic blockwise
 * quantizer; its CPU kernel takes a neighbouring code for about one value in a thousand. Source:
 * Dettmers et al. 2021, arXiv:2110.02861.
 */
public final class AdamW8bit extends Optimizer {
  /** Elements that share a scale. */
  static final int BLOCK = 256;

  /** Fewer elements than this stay in float32, as {@code min_8bit_size}. */
  static final int SMALLEST = 4096;

  private static final float SMALLEST_SCALE = 1e-38f;

  private final AdamW.Moments[] small;
  private final Codes[] first;
  private final Codes[] second;

  /** One moment of one parameter. */
  private record Codes(DynamicMap map, StateArray codes, StateArray scales) {
    void read(long at, float[] out, int count) {
      byte[] q = new byte[count];
      float[] scale = new float[blocks(count)];
      codes.read(at, q, count);
      scales.read(at / BLOCK, scale, scale.length);
      for (int i = 0; i < count; i++) {
        out[i] = map.values[q[i] & 0xff] * scale[i / BLOCK];
      }
    }

    void write(long at, float[] values, int count) {
      byte[] q = new byte[count];
      float[] scale = new float[blocks(count)];
      for (int b = 0; b < scale.length; b++) {
        scale[b] = encode(values, b * BLOCK, Math.min(count, (b + 1) * BLOCK), q);
      }
      codes.write(at, q, count);
      scales.write(at / BLOCK, scale, scale.length);
    }

    private float encode(float[] values, int from, int to, byte[] q) {
      float max = 0;
      for (int i = from; i < to; i++) {
        max = Math.max(max, Math.abs(values[i]));
      }
      float divisor = Math.max(max, SMALLEST_SCALE);
      float factor = 1f / divisor;
      boolean whole = to - from == BLOCK; // a last partial block is divided, as bitsandbytes does
      for (int i = from; i < to; i++) {
        float scaled = whole ? values[i] * factor : values[i] / divisor;
        q[i] = (byte) map.nearest(Math.max(-1f, Math.min(1f, scaled)));
      }
      return whole ? max : divisor;
    }
  }

  /**
   * @param memory owned from now on
   */
  public AdamW8bit(List<Parameter> parameters, AdamSettings settings, StateMemory memory) {
    super(parameters, settings, memory);
    int n = parameters.size();
    small = new AdamW.Moments[n];
    first = new Codes[n];
    second = new Codes[n];
    for (int i = 0; i < n; i++) {
      long elements = parameters.get(i).elements();
      if (elements < SMALLEST) {
        small[i] =
            new AdamW.Moments(
                allocate(i, "state1", TensorType.F32, elements),
                allocate(i, "state2", TensorType.F32, elements));
      } else {
        first[i] = codes(i, "1", DynamicMap.SIGNED, elements);
        second[i] = codes(i, "2", DynamicMap.UNSIGNED, elements);
      }
    }
  }

  private Codes codes(int parameter, String which, DynamicMap map, long elements) {
    return new Codes(
        map,
        allocate(parameter, "state" + which, TensorType.U8, elements),
        allocate(parameter, "absmax" + which, TensorType.F32, blocks(elements)));
  }

  private static int blocks(long elements) {
    return Math.toIntExact((elements + BLOCK - 1) / BLOCK);
  }

  @Override
  void update(int parameter, Run run, Rates rates) {
    if (small[parameter] != null) {
      small[parameter].update(run, settings(), rates);
      return;
    }
    int n = run.count();
    float[] p = run.values();
    float[] g = run.grads();
    float[] m = new float[n];
    float[] v = new float[n];
    first[parameter].read(run.at(), m, n);
    second[parameter].read(run.at(), v, n);
    float keep = (float) (1 - rates.lr() * rates.decay());
    float b1 = (float) settings().beta1();
    float w1 = (float) (1 - settings().beta1());
    float b2 = (float) settings().beta2();
    float w2 = (float) (1 - settings().beta2());
    float step = (float) (-rates.lr() / (1 - Math.pow(settings().beta1(), rates.step())));
    float root = (float) Math.sqrt(1 - Math.pow(settings().beta2(), rates.step()));
    float eps = (float) settings().epsilon();
    for (int i = 0; i < n; i++) {
      m[i] = m[i] * b1 + w1 * g[i];
      v[i] = v[i] * b2 + w2 * g[i] * g[i];
      float denominator = (float) Math.sqrt(v[i]) / root + eps;
      p[i] = p[i] * keep + step * m[i] / denominator;
    }
    first[parameter].write(run.at(), m, n);
    second[parameter].write(run.at(), v, n);
  }
}
