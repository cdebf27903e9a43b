package io.chorale.model;

import io.chorale.quant.BlockQuantizer;
import io.chorale.quant.Nf4Quantizer;
import io.chorale.quant.PackedMatrix;
import java.util.Locale;

/**
 * What to do at load with linear layers that a base model stores in full precision (F32, F16,
 * BF16). Weights that are quantized already stay as they are; embedding, head and norms always do.
 */
public enum Quantization {
  /** Keep what the file has. */
  NONE,
  /** bitsandbytes' NF4, blocks of 64, float32 scales: 4.5 bits a weight. */
  NF4,
  /** NF4 with 8-bit scales: 4.13 bits a weight. */
  NF4_DQ,
  /** 4-bit affine blocks of 32, stored as Q4_1: 5 bits a weight. */
  Q4,
  /** Q8_0: 8.5 bits a weight. */
  Q8;

  /**
   * Reads an option's value: none, nf4, nf4-dq, q4 or q8, in any case.
   *
   * @throws IllegalArgumentException naming the value and the choices
   */
  public static Quantization parse(String value) {
    return switch (value.trim().toLowerCase(Locale.ROOT)) {
      case "none" -> NONE;
      case "nf4" -> NF4;
      case "nf4-dq", "nf4_dq" -> NF4_DQ;
      case "q4" -> Q4;
      case "q8" -> Q8;
      default ->
          throw new IllegalArgumentException(
              "quantization '%s', wanted none, nf4, nf4-dq, q4 or q8".formatted(value));
    };
  }

  /**
   * The matrix in this form. Reads all of it; 100 million weights take about a second.
   *
   * @param full in F32, F16 or BF16
   * @throws IllegalArgumentException if values are not finite or the columns do not fill blocks
   */
  PackedMatrix apply(PackedMatrix full) {
    return switch (this) {
      case NONE -> full;
      case NF4 -> Nf4Quantizer.quantize(full, false);
      case NF4_DQ -> Nf4Quantizer.quantize(full, true);
      case Q4 -> BlockQuantizer.q4(full);
      case Q8 -> BlockQuantizer.q8(full);
    };
  }
}
