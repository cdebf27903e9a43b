package io.chorale.train.optim;

import io.chorale.quant.TensorType;
import io.chorale.train.model.Parameter;
import java.util.List;

/**
 * AdamW with float32 moments: {@code m += (1 - b1)(g - m); v = b2 v + (1 - b2) g g; p = (1 - lr wd)
 * p - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)}. 8 bytes of state an element.
 *
 * <p>Within a few float32 roundings of {@code torch.optim.AdamW}. Source: Loshchilov and Hutter
 * 2017, arXiv:1711.05101.
 */
public final class AdamW extends Optimizer {
  private final Moments[] moments;

  /** Two moments of one parameter and Adam's arithmetic on them. */
  record Moments(StateArray first, StateArray second) {
    void update(Run run, AdamSettings settings, Rates rates) {
      int n = run.count();
      float[] p = run.values();
      float[] g = run.grads();
      float[] m = new float[n];
      float[] v = new float[n];
      first.read(run.at(), m, n);
      second.read(run.at(), v, n);
      float keep = (float) (1 - rates.lr() * rates.decay());
      float w1 = (float) (1 - settings.beta1());
      float b2 = (float) settings.beta2();
      float w2 = (float) (1 - settings.beta2());
      float step = (float) (-rates.lr() / (1 - Math.pow(settings.beta1(), rates.step())));
      float root = (float) Math.sqrt(1 - Math.pow(settings.beta2(), rates.step()));
      float eps = (float) settings.epsilon();
      for (int i = 0; i < n; i++) {
        m[i] += w1 * (g[i] - m[i]);
        v[i] = v[i] * b2 + w2 * g[i] * g[i];
        float denominator = (float) Math.sqrt(v[i]) / root + eps;
        p[i] = p[i] * keep + step * m[i] / denominator;
      }
      first.write(run.at(), m, n);
      second.write(run.at(), v, n);
    }
  }

  /**
   * @param memory owned from now on
   */
  public AdamW(List<Parameter> parameters, AdamSettings settings, StateMemory memory) {
    super(parameters, settings, memory);
    moments = new Moments[parameters.size()];
    for (int i = 0; i < moments.length; i++) {
      long elements = parameters.get(i).elements();
      moments[i] =
          new Moments(
              allocate(i, "exp_avg", TensorType.F32, elements),
              allocate(i, "exp_avg_sq", TensorType.F32, elements));
    }
  }

  @Override
  void update(int parameter, Run run, Rates rates) {
    moments[parameter].update(run, settings(), rates);
  }
}
