package io.chorale.train.optim;

import io.chorale.train.model.Parameter;

/**
 * What Adam needs beside the learning rate.
 *
 * @param weightDecay decoupled: values shrink by {@code lr * weightDecay} a step; norms do not
 * @param loraPlusRatio learning rate of B, magnitudes and norms over that of the others; 1 is plain
 *     LoRA. As PEFT's create_loraplus_optimizer. Source: Hayou et al. 2024, arXiv:2402.12354
 */
public record AdamSettings(
    double beta1, double beta2, double epsilon, double weightDecay, double loraPlusRatio) {
  public AdamSettings {
    if (!(weightDecay >= 0) || Double.isInfinite(weightDecay)) {
      throw new IllegalArgumentException(
          "weight-decay is %s, wanted 0 or more".formatted(weightDecay));
    }
    if (!(loraPlusRatio > 0) || Double.isInfinite(loraPlusRatio)) {
      throw new IllegalArgumentException(
          "lora-plus-ratio is %s, wanted more than 0".formatted(loraPlusRatio));
    }
  }

  /** torch's defaults: betas 0.9 and 0.999, epsilon 1e-8. */
  public static AdamSettings of(double weightDecay, double loraPlusRatio) {
    return new AdamSettings(0.9, 0.999, 1e-8, weightDecay, loraPlusRatio);
  }

  double rateOf(Parameter parameter, double lr) {
    return switch (parameter.kind()) {
      case LORA_B, MAGNITUDE, NORM -> lr * loraPlusRatio;
      case LORA_A, DENSE -> lr;
    };
  }

  double decayOf(Parameter parameter) {
    return parameter.kind() == Parameter.Kind.NORM ? 0 : weightDecay;
  }
}
