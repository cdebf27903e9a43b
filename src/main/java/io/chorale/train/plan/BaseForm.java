package io.chorale.train.plan;

import java.util.Locale;

/** How a base's matrices are stored, in a file or in memory. */
public enum BaseForm {
  F32(4),
  F16(2),
  BF16(2),
  Q4_0(18 / 32.0),
  Q4_1(20 / 32.0),
  Q8_0(34 / 32.0),
  Q4_K(144 / 256.0),
  Q5_K(176 / 256.0),
  Q6_K(210 / 256.0),
  /** Blocks of 64 with a float32 scale. */
  NF4(0.5 + 4 / 64.0),
  /** The scales in 8 bits, with a float32 one for 256 of them. */
  NF4_DQ(0.5 + 1 / 64.0 + 4 / (64.0 * 256));

  private final double bytesEach;

  BaseForm(double bytesEach) {
    this.bytesEach = bytesEach;
  }

  /** Bytes of so many weights. */
  public long bytes(long weights) {
    return Math.round(weights * bytesEach);
  }

  public boolean isFloat() {
    return this == F32 || this == F16 || this == BF16;
  }

  /** Whether the weights can be used as they are in this compute type. */
  boolean isCompute(int computeBytes) {
    return this == F32 && computeBytes == 4 || this == BF16 && computeBytes == 2;
  }

  /**
   * Bytes of the trainer's own copy beside the mapped file: 4-bit blocks are laid out anew, float32
   * is narrowed once for bfloat16; everything else is read from the file's mapping.
   */
  long copyBytes(long weights, int computeBytes) {
    return switch (this) {
      case Q4_0, Q4_1, NF4, NF4_DQ -> bytes(weights);
      case F32 -> computeBytes == 2 ? 2 * weights : 0;
      case F16, BF16, Q8_0, Q4_K, Q5_K, Q6_K -> 0;
    };
  }

  /**
   * Reads a matrix's format name or an option's value, in any case: {@code nf4-dq}, {@code Q4_1},
   * ...; {@code q4} is Q4_1, {@code q8} Q8_0.
   *
   * @throws IllegalArgumentException naming the value and the choices
   */
  public static BaseForm parse(String name) {
    String constant = name.trim().toUpperCase(Locale.ROOT).replace('-', '_');
    String known = constant.equals("Q4") ? "Q4_1" : constant.equals("Q8") ? "Q8_0" : constant;
    try {
      return valueOf(known);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "base form '%s', wanted one of %s"
              .formatted(name, java.util.Arrays.toString(values()).toLowerCase(Locale.ROOT)),
          e);
    }
  }
}
