package io.chorale.engine;

import io.chorale.RealModel;
import io.chorale.it.TestOps;
import io.chorale.kernel.Ops;

/**
 * The serving kernels: 8-bit activations, half-precision KV and LoRA factors. Their error is what
 * the bounds allow; on the reference's scale the largest logit is about 20.
 */
@RealModel
class RealModelNativeTest extends RealModelContract {
  @Override
  Ops ops() {
    return TestOps.served();
  }

  @Override
  double gap() {
    return 0.5;
  }

  @Override
  double logitTolerance() {
    return 1;
  }
}
