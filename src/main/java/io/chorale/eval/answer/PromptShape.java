package io.chorale.eval.answer;

import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** How a row becomes what the model reads. */
public enum PromptShape {
  /** The model's chat template, as the server renders it. */
  CHAT_TEMPLATE,
  /** {@code ### Instruction:}, {@code ### Input:}, {@code ### Response:}, as training has it. */
  INSTRUCTION,
  /** The prompt's text and nothing else. */
  RAW;

  public String label() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /**
   * @throws IllegalArgumentException if there is no such shape
   */
  public static PromptShape parse(String text) {
    for (PromptShape shape : values()) {
      if (shape.label().equals(text)) {
        return shape;
      }
    }
    throw new IllegalArgumentException(
        "prompt form is '%s', wanted %s"
            .formatted(
                text,
                Stream.of(values()).map(PromptShape::label).collect(Collectors.joining(", "))));
  }
}
