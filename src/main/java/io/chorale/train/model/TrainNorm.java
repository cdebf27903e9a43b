package io.chorale.train.model;

import io.chorale.train.model.math.RmsNorm;
import org.bytedeco.pytorch.Tensor;

/**
 * One RMSNorm.
 *
 * @param frozen float32 [width], owned; null if trained
 * @param trained null if frozen
 */
record TrainNorm(Tensor frozen, Parameter trained, float eps) implements AutoCloseable {
  private Tensor weight() {
    return trained == null ? frozen : trained.value();
  }

  void forward(Tensor x, Tensor y) {
    RmsNorm.forward(x, weight(), eps, y);
  }

  /** Adds to dx, unless it is null, and to the weight's gradient if that is trained. */
  void backward(Tensor dy, Tensor x, Tensor dx) {
    if (dx != null || trained != null) {
      RmsNorm.backward(dy, x, weight(), eps, dx, trained == null ? null : trained.grad());
    }
  }

  @Override
  public void close() {
    if (frozen != null) {
      frozen.close();
    }
  }
}
