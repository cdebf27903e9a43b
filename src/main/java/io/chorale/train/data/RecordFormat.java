package io.chorale.train.data;

import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** What a row's fields mean. */
public enum RecordFormat {
  /** {@code instruction}, {@code output}, perhaps {@code input} and {@code system}. */
  ALPACA(Set.of("instruction", "output")),
  /** {@code messages} of {@code role} and {@code content}, perhaps {@code tools}. */
  MESSAGES(Set.of("messages")),
  /** {@code conversations} of {@code from} and {@code value}. */
  SHAREGPT(Set.of("conversations")),
  /** {@code prompt} and {@code completion}, as strings or as messages. */
  PROMPT_COMPLETION(Set.of("prompt", "completion")),
  /** {@code text}, all of it trained on. */
  TEXT(Set.of("text"));

  private final Set<String> required;

  RecordFormat(Set<String> required) {
    this.required = required;
  }

  /** The fields that say a row is of this format. */
  public Set<String> required() {
    return required;
  }

  /** The first format, in the order of this enum, all of whose fields are there. */
  public static Optional<RecordFormat> detect(Set<String> fields) {
    for (RecordFormat format : values()) {
      if (fields.containsAll(format.required)) {
        return Optional.of(format);
      }
    }
    return Optional.empty();
  }

  /** As on the command line: {@code prompt-completion}. */
  public String label() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
