package io.chorale.train.merge;

import io.chorale.quant.TensorType;
import io.chorale.train.rounding.FourBit;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * What a merged model is written as. Embedding and head of the 4-bit GGUF kinds are Q8_0, of NF4
 * the base's own float type; norms and biases of GGUF are F32.
 */
public enum MergeFormat {
  HF_F32(TensorType.F32),
  HF_BF16(TensorType.BF16),
  HF_F16(TensorType.F16),
  GGUF_F16(TensorType.F16),
  GGUF_Q8_0(TensorType.Q8_0),
  GGUF_Q4_0(TensorType.Q4_0),
  GGUF_Q4_1(TensorType.Q4_1),
  /** A Hugging Face folder whose linear layers are bitsandbytes NF4. */
  NF4(null);

  private final TensorType type;

  MergeFormat(TensorType type) {
    this.type = type;
  }

  /**
   * Reads an option's value, such as {@code hf-bf16} or {@code gguf-q8_0}, in any case.
   *
   * @throws IllegalArgumentException naming the value and the choices
   */
  public static MergeFormat parse(String value) {
    for (MergeFormat format : values()) {
      if (format.option().equalsIgnoreCase(value.trim())) {
        return format;
      }
    }
    throw new IllegalArgumentException(
        "format '%s', wanted one of %s"
            .formatted(
                value,
                Arrays.stream(values())
                    .map(MergeFormat::option)
                    .collect(Collectors.joining(", "))));
  }

  /** As users write it. */
  public String option() {
    String name = name().toLowerCase(Locale.ROOT);
    int kind = name.indexOf('_');
    return kind < 0 ? name : name.substring(0, kind) + "-" + name.substring(kind + 1);
  }

  public boolean gguf() {
    return name().startsWith("GGUF");
  }

  /** Whether rounding can erase a small update. */
  public boolean fourBit() {
    return this == NF4 || type == TensorType.Q4_0 || type == TensorType.Q4_1;
  }

  /** The 4-bit format of the layers' matrices, if it is one. */
  public Optional<FourBit> rounded() {
    return fourBit()
        ? Optional.of(this == NF4 ? FourBit.NF4 : FourBit.valueOf(type.name()))
        : Optional.empty();
  }

  /** Of the layers' matrices; null for NF4, which is several tensors. */
  TensorType linearType() {
    return type;
  }

  /** Of embedding and head; null for NF4, which takes the base's. */
  TensorType endType() {
    return gguf() && fourBit() ? TensorType.Q8_0 : type;
  }

  /** llama.cpp's {@code general.file_type}. */
  int ggufFileType() {
    return switch (this) {
      case GGUF_F16 -> 1;
      case GGUF_Q4_0 -> 2;
      case GGUF_Q4_1 -> 3;
      case GGUF_Q8_0 -> 7;
      case HF_F32, HF_BF16, HF_F16, NF4 -> throw new IllegalStateException(option());
    };
  }
}
