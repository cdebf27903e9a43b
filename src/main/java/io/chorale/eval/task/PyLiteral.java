package io.chorale.eval.task;

import java.util.ArrayList;
import java.util.List;

/**
 * Reads what Python prints of strings, numbers, lists and tuples ({@code ast.literal_eval} of a
 * {@code repr}), because the harness passes choices from a template in that form. One use.
 */
final class PyLiteral {
  private final String text;
  private int at;

  private PyLiteral(String text) {
    this.text = text;
  }

  /**
   * @return String, Long, Double, Boolean, null or a List of these
   * @throws IllegalArgumentException if the text is not one literal
   */
  static Object parse(String text) {
    PyLiteral literal = new PyLiteral(text);
    Object value = literal.value();
    literal.blanks();
    if (literal.at < text.length()) {
      throw literal.failure("end");
    }
    return value;
  }

  private Object value() {
    blanks();
    if (at >= text.length()) {
      throw failure("a value");
    }
    char c = text.charAt(at);
    if (c == '[' || c == '(') {
      at++;
      return items(c == '[' ? ']' : ')');
    }
    if (c == '\'' || c == '"') {
      at++;
      return string(c);
    }
    int start = at;
    while (at < text.length() && ",])} \n\t".indexOf(text.charAt(at)) < 0) {
      at++;
    }
    return plain(text.substring(start, at));
  }

  private Object plain(String word) {
    return switch (word) {
      case "None" -> null;
      case "True" -> true;
      case "False" -> false;
      default -> {
        try {
          yield word.matches("[-+]?\\d+") ? (Object) Long.valueOf(word) : Double.valueOf(word);
        } catch (NumberFormatException e) {
          throw failure("a string, number or list");
        }
      }
    };
  }

  private List<Object> items(char end) {
    List<Object> items = new ArrayList<>();
    while (true) {
      blanks();
      if (at < text.length() && text.charAt(at) == end) {
        at++;
        return items;
      }
      items.add(value());
      blanks();
      if (at < text.length() && text.charAt(at) == ',') {
        at++;
      } else if (at >= text.length() || text.charAt(at) != end) {
        throw failure("',' or '" + end + "'");
      }
    }
  }

  private String string(char quote) {
    StringBuilder out = new StringBuilder();
    while (at < text.length() && text.charAt(at) != quote) {
      char c = text.charAt(at++);
      if (c == '\\') {
        escape(out);
      } else {
        out.append(c);
      }
    }
    if (at >= text.length()) {
      throw failure("a closing quote");
    }
    at++;
    return out.toString();
  }

  private void escape(StringBuilder out) {
    if (at >= text.length()) {
      throw failure("an escape");
    }
    char c = text.charAt(at++);
    switch (c) {
      case 'n' -> out.append('\n');
      case 't' -> out.append('\t');
      case 'r' -> out.append('\r');
      case 'x' -> out.appendCodePoint(hex(2));
      case 'u' -> out.appendCodePoint(hex(4));
      case 'U' -> out.appendCodePoint(hex(8));
      case '\\', '\'', '"' -> out.append(c);
      default -> out.append('\\').append(c);
    }
  }

  private int hex(int digits) {
    try {
      int value = Integer.parseInt(text.substring(at, at + digits), 16);
      at += digits;
      return value;
    } catch (IndexOutOfBoundsException | NumberFormatException e) {
      throw failure(digits + " hexadecimal digits");
    }
  }

  private void blanks() {
    while (at < text.length() && " \n\t\r".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
  }

  private IllegalArgumentException failure(String wanted) {
    String shown = text.length() > 80 ? text.substring(0, 80) + "..." : text;
    return new IllegalArgumentException(
        "'%s' is no Python literal: wanted %s at %d".formatted(shown, wanted, at));
  }
}
