package io.chorale.train.plan;

import io.chorale.tensor.GradMode;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * How fast this machine multiplies matrices, in FLOP/s.
 *
 * @param flops of products as training has them
 * @param measured here and now; else assumed
 */
public record MachineRate(double flops, boolean measured) {
  private static final int ROWS = 1024;
  private static final int INPUTS = 576;
  private static final int OUTPUTS = 1536;
  private static final long MEASURE_NS = 300_000_000;

  /** Of a machine that nobody measured: two cores with AVX2. */
  public static MachineRate assumed(int computeBytes) {
    return new MachineRate(computeBytes == 2 ? 20e9 : 80e9, false);
  }

  /**
   * Multiplies for a third of a second, after libtorch has loaded.
   *
   * @param threads of libtorch
   */
  public static MachineRate measure(int computeBytes, int threads) {
    TorchDevice.threads(threads);
    ScalarType type = computeBytes == 2 ? ScalarType.BFloat16 : ScalarType.Float;
    try (Scope scope = Scope.open();
        GradMode off = GradMode.off()) {
      Tensor x = TorchDevice.CPU.zeros(type, ROWS, INPUTS);
      Tensor w = TorchDevice.CPU.zeros(type, OUTPUTS, INPUTS);
      Tensor y = TorchDevice.CPU.zeros(type, ROWS, OUTPUTS);
      Tensor turned = w.t();
      torch.mm_out(y, x, turned); // the first one plans
      double best = 0;
      long begin = System.nanoTime();
      long at = begin;
      while (at - begin < MEASURE_NS) {
        torch.mm_out(y, x, turned);
        long now = System.nanoTime();
        best = Math.max(best, 2e9 * ROWS * INPUTS * OUTPUTS / (now - at));
        at = now;
      }
      return new MachineRate(best, true);
    }
  }
}
