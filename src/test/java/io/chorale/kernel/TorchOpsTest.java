package io.chorale.kernel;

import io.chorale.kernel.TorchOps.WeightForm;
import io.chorale.tensor.TorchDevice;
import org.junit.jupiter.api.Nested;

/** {@link TorchOps} on the CPU, in both weight forms; PACKED is the code that CUDA runs. */
class TorchOpsTest {

  @Nested
  class Dense extends OpsContract {
    @Override
    Ops ops() {
      return new TorchOps(TorchDevice.CPU, WeightForm.DENSE);
    }

    @Override
    double tolerance() {
      return 2e-5;
    }
  }

  @Nested
  class Packed extends OpsContract {
    @Override
    Ops ops() {
      return new TorchOps(TorchDevice.CPU, WeightForm.PACKED);
    }

    @Override
    double tolerance() {
      return 2e-5;
    }
  }
}
