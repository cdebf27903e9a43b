package io.chorale.train.rounding;

import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** The 4-bit formats that a merged model can have. */
public enum FourBit {
  NF4,
  Q4_0,
  Q4_1;

  /** As users write it: {@code nf4}, {@code q4_0}, {@code q4_1}. */
  public String option() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * Reads an option's value.
   *
   * @throws IllegalArgumentException naming the value and the choices
   */
  public static FourBit parse(String value) {
    List<String> options = Arrays.stream(values()).map(FourBit::option).toList();
    int index = options.indexOf(value);
    if (index < 0) {
      throw new IllegalArgumentException(
          "4-bit format '%s', wanted one of %s".formatted(value, String.join(", ", options)));
    }
    return values()[index];
  }

  /** Whether the matrix is stored so. */
  public boolean holds(PackedMatrix matrix) {
    return this == NF4
        ? matrix instanceof Nf4Matrix
        : matrix instanceof GgmlMatrix ggml && ggml.type() == TensorType.valueOf(name());
  }
}
