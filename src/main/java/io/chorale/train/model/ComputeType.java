package io.chorale.train.model;

import java.util.Locale;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Element type of activations and of the matrix products; sums and gradients are float32. */
public enum ComputeType {
  F32(ScalarType.Float),
  /** Twice as fast on machines with BF16 instructions, slow on others. */
  BF16(ScalarType.BFloat16);

  private final ScalarType torch;

  ComputeType(ScalarType torch) {
    this.torch = torch;
  }

  /** libtorch's name of it. */
  public ScalarType torch() {
    return torch;
  }

  /**
   * Reads f32 or bf16, in any case.
   *
   * @throws IllegalArgumentException naming the value and the choices
   */
  public static ComputeType parse(String value) {
    try {
      return valueOf(value.trim().toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "compute type '%s', wanted f32 or bf16".formatted(value), e);
    }
  }
}
