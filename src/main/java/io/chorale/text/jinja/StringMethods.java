package io.chorale.text.jinja;

import io.chorale.text.jinja.Template.Failure;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;

/** Python's str as pure functions. Indices count code points, as in Python, not UTF-16 units. */
final class StringMethods {
  private StringMethods() {}

  /** {@code str.isspace} of one character; also what {@code strip} and whitespace control drop. */
  static boolean isSpace(int c) {
    return (c >= 9 && c <= 13)
        || (c >= 0x1c && c <= 0x20)
        || c == 0x85
        || (c >= 0xa0 && Character.isSpaceChar(c));
  }

  static boolean isPrintable(int c) {
    return c == ' '
        || switch (Character.getType(c)) {
          case Character.CONTROL,
              Character.FORMAT,
              Character.SURROGATE,
              Character.PRIVATE_USE,
              Character.UNASSIGNED,
              Character.LINE_SEPARATOR,
              Character.PARAGRAPH_SEPARATOR,
              Character.SPACE_SEPARATOR ->
              false;
          default -> true;
        };
  }

  static int length(String text) {
    return text.codePointCount(0, text.length());
  }

  /** Code points {@code from} to {@code to}, both within bounds. */
  static String slice(String text, int from, int to) {
    if (from >= to) {
      return "";
    }
    int start = text.offsetByCodePoints(0, from);
    return text.substring(start, text.offsetByCodePoints(start, to - from));
  }

  /** Order by code point; UTF-16 order differs above the surrogates. */
  static int compare(String a, String b) {
    int shared = Math.min(a.length(), b.length());
    for (int i = 0; i < shared; i++) {
      char x = a.charAt(i);
      char y = b.charAt(i);
      if (x != y) {
        boolean surrogate = Character.isSurrogate(x) || Character.isSurrogate(y);
        return surrogate
            ? Integer.compare(a.codePointAt(i), b.codePointAt(i))
            : Character.compare(x, y);
      }
    }
    return Integer.compare(a.length(), b.length());
  }

  /** Strips characters of {@code chars} (null: whitespace) from the chosen ends. */
  static String strip(String text, String chars, boolean left, boolean right) {
    IntPredicate drop = chars == null ? StringMethods::isSpace : c -> chars.indexOf(c) >= 0;
    int start = 0;
    int end = text.length();
    while (left && start < end && drop.test(text.codePointAt(start))) {
      start += Character.charCount(text.codePointAt(start));
    }
    while (right && end > start && drop.test(text.codePointBefore(end))) {
      end -= Character.charCount(text.codePointBefore(end));
    }
    return text.substring(start, end);
  }

  /** {@code str.split}; {@code separator} null means runs of whitespace, {@code max} -1 all. */
  static List<Object> split(String text, String separator, int max) {
    if (separator == null) {
      return splitSpace(text, max);
    }
    checkSeparator(separator);
    List<Object> parts = new ArrayList<>();
    int from = 0;
    for (int at = text.indexOf(separator);
        at >= 0 && (max < 0 || parts.size() < max);
        at = text.indexOf(separator, from)) {
      parts.add(text.substring(from, at));
      from = at + separator.length();
    }
    parts.add(text.substring(from));
    return parts;
  }

  private static void checkSeparator(String separator) {
    if (separator.isEmpty()) {
      throw Failure.runtime("split wants a separator that is not empty");
    }
  }

  private static List<Object> splitSpace(String text, int max) {
    List<Object> parts = new ArrayList<>();
    String rest = strip(text, null, true, false);
    while (!rest.isEmpty()) {
      int end = 0;
      while (end < rest.length() && !isSpace(rest.charAt(end))) {
        end++;
      }
      if (max >= 0 && parts.size() == max) {
        parts.add(rest);
        return parts;
      }
      parts.add(rest.substring(0, end));
      rest = strip(rest.substring(end), null, true, false);
    }
    return parts;
  }

  /** {@code str.rsplit}: as split, counted from the right. */
  static List<Object> rsplit(String text, String separator, int max) {
    List<Object> parts = new ArrayList<>();
    if (separator == null) {
      String rest = strip(text, null, false, true);
      while (!rest.isEmpty()) {
        int start = rest.length();
        while (start > 0 && !isSpace(rest.charAt(start - 1))) {
          start--;
        }
        if (max >= 0 && parts.size() == max) {
          parts.add(0, rest);
          return parts;
        }
        parts.add(0, rest.substring(start));
        rest = strip(rest.substring(0, start), null, false, true);
      }
      return parts;
    }
    checkSeparator(separator);
    int end = text.length();
    while (max < 0 || parts.size() < max) {
      int at = text.lastIndexOf(separator, end - separator.length());
      if (at < 0 || end < separator.length()) {
        break;
      }
      parts.add(0, text.substring(at + separator.length(), end));
      end = at;
    }
    parts.add(0, text.substring(0, end));
    return parts;
  }

  static List<Object> splitLines(String text, boolean keepEnds) {
    List<Object> lines = new ArrayList<>();
    int start = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean ends =
          (c >= 10 && c <= 13)
              || (c >= 0x1c && c <= 0x1e)
              || c == 0x85
              || c == 0x2028
              || c == 0x2029;
      if (ends) {
        int next = c == '\r' && text.startsWith("\n", i + 1) ? i + 2 : i + 1;
        lines.add(text.substring(start, keepEnds ? next : i));
        start = next;
        i = next - 1;
      }
    }
    if (start < text.length()) {
      lines.add(text.substring(start));
    }
    return lines;
  }

  /** Before, separator, after; all in the first (or, from the right, last) part if not found. */
  static List<Object> partition(String text, String separator, boolean fromRight) {
    checkSeparator(separator);
    int at = fromRight ? text.lastIndexOf(separator) : text.indexOf(separator);
    if (at < 0) {
      return fromRight ? List.of("", "", text) : List.of(text, "", "");
    }
    return List.of(text.substring(0, at), separator, text.substring(at + separator.length()));
  }

  /** Number of non-overlapping occurrences; an empty {@code part} is found between all chars. */
  static int count(String text, String part) {
    if (part.isEmpty()) {
      return length(text) + 1;
    }
    int found = 0;
    for (int at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length())) {
      found++;
    }
    return found;
  }

  /** {@code str.replace}; {@code max} -1 means all. */
  static String replace(String text, String old, String with, int max, Template.Budget budget) {
    int times = max < 0 ? count(text, old) : Math.min(max, count(text, old));
    budget.chars(text.length() + (long) times * (with.length() - old.length()));
    StringBuilder out = new StringBuilder();
    int from = 0;
    for (int i = 0; i < times; i++) {
      int at = old.isEmpty() ? from : text.indexOf(old, from);
      if (old.isEmpty() && i > 0) {
        at = text.offsetByCodePoints(from, 1);
      }
      out.append(text, from, at).append(with);
      from = at + old.length();
    }
    return out.append(text.substring(from)).toString();
  }

  /** First letter of every run of letters in upper case, the rest in lower. */
  static String title(String text) {
    StringBuilder out = new StringBuilder();
    boolean inWord = false;
    for (int c : text.codePoints().toArray()) {
      String one = Character.toString(c);
      out.append(
          inWord
              ? one.toLowerCase(Locale.ROOT)
              : Character.toString(Character.toTitleCase(c)).equals(one)
                  ? one.toUpperCase(Locale.ROOT)
                  : Character.toString(Character.toTitleCase(c)));
      inWord = isCased(c);
    }
    return out.toString();
  }

  static boolean isCased(int c) {
    return Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
  }

  static String capitalize(String text) {
    if (text.isEmpty()) {
      return text;
    }
    int first = text.offsetByCodePoints(0, 1);
    return text.substring(0, first).toUpperCase(Locale.ROOT)
        + text.substring(first).toLowerCase(Locale.ROOT);
  }

  static String swapCase(String text) {
    StringBuilder out = new StringBuilder();
    text.codePoints()
        .forEach(
            c -> {
              String one = Character.toString(c);
              out.append(
                  Character.isUpperCase(c)
                      ? one.toLowerCase(Locale.ROOT)
                      : one.toUpperCase(Locale.ROOT));
            });
    return out.toString();
  }

  /** The {@code is...} methods; all but isascii are false for an empty text. */
  static boolean is(String method, String text) {
    if (method.equals("isascii")) {
      return text.chars().allMatch(c -> c < 128);
    } else if (method.equals("isprintable")) {
      return text.codePoints().allMatch(StringMethods::isPrintable);
    } else if (text.isEmpty()) {
      return false;
    }
    return switch (method) {
      case "isupper" -> anyCased(text) && text.equals(text.toUpperCase(Locale.ROOT));
      case "islower" -> anyCased(text) && text.equals(text.toLowerCase(Locale.ROOT));
      case "istitle" -> anyCased(text) && text.equals(title(text));
      case "isidentifier" ->
          (text.charAt(0) == '_' || Character.isUnicodeIdentifierStart(text.codePointAt(0)))
              && text.codePoints().allMatch(Character::isUnicodeIdentifierPart);
      default -> text.codePoints().allMatch(predicate(method));
    };
  }

  private static boolean anyCased(String text) {
    return text.codePoints().anyMatch(StringMethods::isCased);
  }

  private static IntPredicate predicate(String method) {
    IntPredicate decimal = c -> Character.getType(c) == Character.DECIMAL_DIGIT_NUMBER;
    IntPredicate superscript =
        c -> c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2089);
    IntPredicate digit = decimal.or(superscript);
    IntPredicate numeric =
        digit.or(
            c ->
                Character.getType(c) == Character.OTHER_NUMBER
                    || Character.getType(c) == Character.LETTER_NUMBER);
    return switch (method) {
      case "isdecimal" -> decimal;
      case "isdigit" -> digit;
      case "isnumeric" -> numeric;
      case "isalpha" -> Character::isLetter;
      case "isalnum" -> numeric.or(Character::isLetter);
      default -> StringMethods::isSpace;
    };
  }

  /** Pads to {@code width} code points; {@code side} is '<', '>' or '^' for the text's place. */
  static String pad(String text, int width, String fill, char side, Template.Budget budget) {
    if (length(fill) != 1) {
      throw Failure.runtime("padding wants one fill character, had '" + fill + "'");
    }
    int missing = width - length(text);
    if (missing <= 0) {
      return text;
    }
    budget.chars((long) text.length() + missing * (long) fill.length());
    int left = side == '<' ? 0 : missing;
    if (side == '^') {
      left = missing / 2;
    }
    return fill.repeat(left) + text + fill.repeat(missing - left);
  }

  /** {@code str.center} puts an odd blank left where the width is odd, unlike a format spec. */
  static String center(String text, int width, String fill, Template.Budget budget) {
    int missing = width - length(text);
    if (missing <= 0) {
      return pad(text, 0, fill, '<', budget);
    }
    int left = missing / 2 + (missing & width & 1);
    return pad(pad(text, length(text) + left, fill, '>', budget), width, fill, '<', budget);
  }

  static String zfill(String text, int width, Template.Budget budget) {
    boolean signed = text.startsWith("-") || text.startsWith("+");
    String digits = signed ? text.substring(1) : text;
    return (signed ? text.substring(0, 1) : "")
        + pad(digits, signed ? width - 1 : width, "0", '>', budget);
  }

  static String expandTabs(String text, int size, Template.Budget budget) {
    StringBuilder out = new StringBuilder();
    int column = 0;
    for (int c : text.codePoints().toArray()) {
      if (c == '\t') {
        int blanks = size > 0 ? size - column % size : 0;
        budget.chars((long) out.length() + blanks);
        out.append(" ".repeat(blanks));
        column += blanks;
      } else {
        out.appendCodePoint(c);
        column = c == '\n' || c == '\r' ? 0 : column + 1;
      }
    }
    return out.toString();
  }

  /** Python's escapes in a string literal; unknown ones keep their backslash. */
  static String unescape(String body, int at) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < body.length(); i++) {
      char c = body.charAt(i);
      if (c != '\\') {
        out.append(c);
        continue;
      }
      char kind = body.charAt(++i);
      int simple = "abfnrtv\\'\"".indexOf(kind);
      int digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
      if (simple >= 0) {
        out.append("\u0007\b\f\n\r\t\u000b\\'\"".charAt(simple));
      } else if (digits > 0) {
        try {
          out.appendCodePoint(Integer.parseInt(body.substring(i + 1, i + 1 + digits), 16));
        } catch (IllegalArgumentException | StringIndexOutOfBoundsException e) {
          throw Failure.syntax("escape \\" + kind + " wants " + digits + " hex digits", at);
        }
        i += digits;
      } else if (kind >= '0' && kind <= '7') {
        int end = i;
        while (end < body.length()
            && end < i + 3
            && body.charAt(end) >= '0'
            && body.charAt(end) <= '7') {
          end++;
        }
        out.append((char) Integer.parseInt(body.substring(i, end), 8));
        i = end - 1;
      } else if (kind != '\n') {
        out.append('\\').append(kind);
      }
    }
    return out.toString();
  }
}
