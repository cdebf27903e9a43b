package io.chorale.engine;

import io.chorale.RealModel;
import io.chorale.it.TestOps;
import io.chorale.kernel.Ops;

/** float32 weights: the reference's own arithmetic up to summation order. */
@RealModel
class RealModelTorchTest extends RealModelContract {
  @Override
  Ops ops() {
    return TestOps.dense();
  }

  @Override
  double gap() {
    return 0.001;
  }

  @Override
  double logitTolerance() {
    return 0.0005;
  }
}
