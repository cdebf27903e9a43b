package io.chorale.text;

/** Half characters: legal in a Java string and in JSON escapes, but no UTF-8 exists for them. */
final class Surrogates {
  private Surrogates() {}

  /**
   * @param what names the text in the error
   * @throws IllegalArgumentException naming the char index of the first lone surrogate
   */
  static void refuse(String what, String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (!Character.isSurrogate(c)) {
        continue;
      }
      if (Character.isHighSurrogate(c)
          && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
      } else {
        throw new IllegalArgumentException(
            "%s has a lone surrogate U+%04X at char %d, wanted whole characters; was the text cut there?"
                .formatted(what, (int) c, i));
      }
    }
  }
}
