package io.chorale.eval.task;

import java.util.Locale;

/** Python's idea of blanks and capitals, where Java's differs. */
final class PyText {
  private PyText() {}

  /** {@code str.isspace} of one character. */
  static boolean isSpace(int c) {
    return c >= 0x9 && c <= 0xd
        || c >= 0x1c && c <= 0x20
        || c == 0x85
        || Character.isSpaceChar(c) && c != 0x200b;
  }

  static String strip(String text) {
    int start = 0;
    while (start < text.length() && isSpace(text.charAt(start))) {
      start++;
    }
    return text.substring(start, Math.max(start, text.length() - trailing(text)));
  }

  /** How many blanks the text ends with. */
  static int trailing(String text) {
    int end = text.length();
    while (end > 0 && isSpace(text.charAt(end - 1))) {
      end--;
    }
    return text.length() - end;
  }

  /** {@code str.capitalize}: the first character in title case, the others in lower case. */
  static String capitalize(String text) {
    if (text.isEmpty()) {
      return text;
    }
    int first = text.codePointAt(0);
    int length = Character.charCount(first);
    return Character.toString(Character.toTitleCase(first))
        + text.substring(length).toLowerCase(Locale.ROOT);
  }

  /** {@code len}. */
  static int length(String text) {
    return text.codePointCount(0, text.length());
  }

  /** {@code str.isdigit} for what a label can be. */
  static boolean isDigits(String text) {
    return !text.isEmpty()
        && text.length() < 10
        && text.chars().allMatch(c -> c >= '0' && c <= '9');
  }
}
