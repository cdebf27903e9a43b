package io.chorale.train.optim;

import io.chorale.tensor.Scope;
import io.chorale.train.model.Parameter;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.pytorch.Tensor;

/** The length of all gradients together, and the factor that keeps it in bounds. Stateless. */
public final class Gradients {
  private static final int RUN = 1 << 14;

  private Gradients() {}

  /** Euclidean length over all parameters, summed in float64; not finite if any element is not. */
  public static double norm(List<Parameter> parameters) {
    double[] sums =
        IntStream.range(0, parameters.size())
            .parallel()
            .mapToDouble(i -> squares(parameters.get(i)))
            .toArray();
    double sum = 0;
    for (double one : sums) { // in order: a parallel sum would depend on threads
      sum += one;
    }
    return Math.sqrt(sum);
  }

  private static double squares(Parameter parameter) {
    try (Scope scope = Scope.open()) {
      Tensor grad = parameter.grad().device().is_cpu() ? parameter.grad() : parameter.grad().cpu();
      FloatPointer values = grad.data_ptr_float();
      float[] run = new float[RUN];
      double sum = 0;
      for (long at = 0; at < parameter.elements(); at += RUN) {
        int count = (int) Math.min(RUN, parameter.elements() - at);
        values.position(at).get(run, 0, count);
        for (int i = 0; i < count; i++) {
          sum += (double) run[i] * run[i];
        }
      }
      return sum;
    }
  }

  /**
   * What to multiply gradients with, as {@code torch.nn.utils.clip_grad_norm_}.
   *
   * @param maxNorm 0: no bound
   */
  public static float clipFactor(double norm, double maxNorm) {
    return maxNorm == 0 ? 1f : (float) Math.min(1.0, maxNorm / (norm + 1e-6));
  }
}
