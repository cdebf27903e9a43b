package io.chorale.it;

import io.chorale.kernel.Kernels;
import io.chorale.kernel.Ops;
import io.chorale.kernel.TorchOps;
import io.chorale.kernel.TorchOps.WeightForm;
import io.chorale.tensor.TorchDevice;

/** Where tests of whole models get their {@link Ops}, so that one place says which they prove. */
public final class TestOps {
  private TestOps() {}

  /** Float32 weights. */
  public static Ops dense() {
    return new TorchOps(TorchDevice.CPU, WeightForm.DENSE);
  }

  /** Weights as 4-bit as the file has them. */
  public static Ops packed() {
    return new TorchOps(TorchDevice.CPU, WeightForm.PACKED);
  }

  /** What {@code serve} takes on this machine. */
  public static Ops served() {
    return Kernels.choose("auto", "cpu", Runtime.getRuntime().availableProcessors());
  }
}
