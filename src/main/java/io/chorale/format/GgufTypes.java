package io.chorale.format;

import io.chorale.quant.TensorType;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;

/** GGUF's tensor type numbers (ggml.h, enum ggml_type). */
final class GgufTypes {
  private static final Map<Integer, TensorType> BY_ID =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry(0, TensorType.F32),
              Map.entry(1, TensorType.F16),
              Map.entry(2, TensorType.Q4_0),
              Map.entry(3, TensorType.Q4_1),
              Map.entry(8, TensorType.Q8_0),
              Map.entry(12, TensorType.Q4_K),
              Map.entry(13, TensorType.Q5_K),
              Map.entry(14, TensorType.Q6_K),
              Map.entry(24, TensorType.I8),
              Map.entry(25, TensorType.I16),
              Map.entry(26, TensorType.I32),
              Map.entry(27, TensorType.I64),
              Map.entry(30, TensorType.BF16)));

  private static final Map<Integer, String> UNREAD =
      Map.ofEntries(
          Map.entry(6, "Q5_0"),
          Map.entry(7, "Q5_1"),
          Map.entry(9, "Q8_1"),
          Map.entry(10, "Q2_K"),
          Map.entry(11, "Q3_K"),
          Map.entry(15, "Q8_K"),
          Map.entry(16, "IQ2_XXS"),
          Map.entry(17, "IQ2_XS"),
          Map.entry(18, "IQ3_XXS"),
          Map.entry(19, "IQ1_S"),
          Map.entry(20, "IQ4_NL"),
          Map.entry(21, "IQ3_S"),
          Map.entry(22, "IQ2_S"),
          Map.entry(23, "IQ4_XS"),
          Map.entry(28, "F64"),
          Map.entry(29, "IQ1_M"),
          Map.entry(34, "TQ1_0"),
          Map.entry(35, "TQ2_0"),
          Map.entry(39, "MXFP4"));

  private GgufTypes() {}

  /** The type, or null if it is not read. */
  static TensorType byId(int id) {
    return BY_ID.get(id);
  }

  /**
   * The number of a type.
   *
   * @throws IllegalArgumentException if GGUF does not have it
   */
  static int idOf(TensorType type) {
    for (Map.Entry<Integer, TensorType> e : BY_ID.entrySet()) {
      if (e.getValue() == type) {
        return e.getKey();
      }
    }
    throw new IllegalArgumentException("GGUF has no tensors of " + type);
  }

  static String describe(int id) {
    String name = UNREAD.get(id);
    return "type id " + id + (name == null ? "" : " (" + name + ")");
  }

  static Collection<TensorType> known() {
    return BY_ID.values();
  }
}
