package io.chorale.train.model;

import java.util.Locale;

/** What is trained. QLoRA is any of the adapter methods on a 4-bit base. */
public enum TrainMethod {
  /** {@code W + alpha/r B A}; Hu et al. 2021, arXiv:2106.09685. */
  LORA,
  /** {@code W + alpha/sqrt(r) B A}; Kalajdzievski 2023, arXiv:2312.03732. */
  RSLORA,
  /** LoRA of the direction, a trained magnitude; Liu et al. 2024, arXiv:2402.09353. */
  DORA,
  /** Every weight of a float base, for comparison. */
  FULL;

  /**
   * Reads lora, rslora, dora or full, in any case.
   *
   * @throws IllegalArgumentException naming the value and the choices
   */
  public static TrainMethod parse(String value) {
    try {
      return valueOf(value.trim().toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "method '%s', wanted lora, rslora, dora or full".formatted(value), e);
    }
  }
}
