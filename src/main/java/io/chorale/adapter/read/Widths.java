package io.chorale.adapter.read;

import io.chorale.format.TensorData;
import io.chorale.lora.LoraTarget;
import io.chorale.model.ModelSpec;
import java.util.Arrays;

/**
 * Input and output width of a module of the base, and the shape check against them.
 *
 * @param in for the embedding the vocabulary
 */
record Widths(int in, int out) {
  static Widths of(LoraTarget target, ModelSpec spec) {
    return switch (target) {
      case Q_PROJ -> new Widths(spec.hidden(), spec.qWidth());
      case K_PROJ, V_PROJ -> new Widths(spec.hidden(), spec.kvWidth());
      case O_PROJ -> new Widths(spec.qWidth(), spec.hidden());
      case GATE_PROJ, UP_PROJ -> new Widths(spec.hidden(), spec.intermediate());
      case DOWN_PROJ -> new Widths(spec.intermediate(), spec.hidden());
      case EMBED_TOKENS -> new Widths(spec.vocab(), spec.hidden());
      case LM_HEAD -> new Widths(spec.hidden(), spec.vocab());
    };
  }

  /**
   * @param what such as {@code layers.3.self_attn.q_proj lora_A}
   * @throws IllegalArgumentException if the tensor's shape is another
   */
  static void requireShape(TensorData tensor, String what, long... wanted) {
    if (!Arrays.equals(tensor.shape(), wanted)) {
      throw new IllegalArgumentException(
          "%s is %s, base model wants %s; was it trained on another base?"
              .formatted(what, Arrays.toString(tensor.shape()), Arrays.toString(wanted)));
    }
  }
}
