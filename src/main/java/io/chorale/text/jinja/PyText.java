package io.chorale.text.jinja;

import io.chorale.text.jinja.Template.Budget;
import io.chorale.text.jinja.Template.Failure;
import io.chorale.text.jinja.Values.Markup;
import io.chorale.text.jinja.Values.Namespace;
import io.chorale.text.jinja.Values.Range;
import io.chorale.text.jinja.Values.Tuple;
import io.chorale.text.jinja.Values.Undefined;
import io.chorale.text.jinja.Values.View;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Values as text: Python's {@code str()}, {@code repr()}, {@code json.dumps()} and {@code
 * strftime()}. One render, one thread.
 */
final class PyText {
  private static final int SHORTEST_DIGITS_MAX = 17;
  private final Budget budget;

  PyText(Budget budget) {
    this.budget = budget;
  }

  String str(Object value) {
    if (Values.isText(value)) {
      return value.toString();
    }
    return value instanceof Undefined ? "" : repr(value);
  }

  /** {@code str(value)} with HTML's special characters replaced, unless it is Markup. */
  String escape(Object value) {
    if (value instanceof Markup markup) {
      return markup.text();
    }
    String plain = str(value);
    budget.chars(plain.length());
    String escaped =
        plain
            .replace("&", "&amp;")
            .replace(">", "&gt;")
            .replace("<", "&lt;")
            .replace("'", "&#39;")
            .replace("\"", "&#34;");
    budget.chars(escaped.length());
    return escaped;
  }

  String repr(Object value) {
    StringBuilder out = new StringBuilder();
    repr(value, out);
    budget.chars(out.length());
    return out.toString();
  }

  private void repr(Object value, StringBuilder out) {
    budget.step();
    budget.enter();
    if (value == null) {
      out.append("None");
    } else if (value instanceof Boolean bool) {
      out.append(bool ? "True" : "False");
    } else if (value instanceof Double number) {
      out.append(floating(number));
    } else if (value instanceof String string) {
      quote(string, out);
    } else if (value instanceof Markup markup) {
      out.append("Markup(");
      quote(markup.text(), out);
      out.append(')');
    } else if (value instanceof List<?> list) {
      items(list, "[", "]", out);
    } else if (value instanceof Tuple tuple) {
      items(tuple.list(), "(", tuple.list().size() == 1 ? ",)" : ")", out);
    } else if (value instanceof Map<?, ?> map) {
      dict(map, out);
    } else if (value instanceof View view) {
      out.append("dict_").append(view.kind());
      items(view.items(), "([", "])", out);
    } else if (value instanceof Range range) {
      out.append("range(").append(range.start()).append(", ").append(range.stop());
      out.append(range.step() == 1 ? ")" : ", " + range.step() + ")");
    } else if (value instanceof Namespace namespace) {
      out.append("<Namespace ");
      dict(namespace.fields(), out);
      out.append('>');
    } else if (value instanceof Undefined) {
      out.append("Undefined");
    } else if (value instanceof Number) {
      out.append(value);
    } else {
      out.append('<').append(Values.typeName(value)).append(" object>");
    }
    checkSize(out);
    budget.leave();
  }

  private int checked;

  /** Charges what was appended since the last look, so that a small tree cannot print for ever. */
  private void checkSize(StringBuilder out) {
    if (out.length() < checked) {
      checked = 0;
    }
    if (out.length() - checked > 4096) {
      budget.grown(out.length(), out.length() - checked);
      checked = out.length();
    }
  }

  private void items(Collection<?> items, String open, String close, StringBuilder out) {
    out.append(open);
    String separator = "";
    for (Object item : items) {
      out.append(separator);
      repr(item, out);
      separator = ", ";
    }
    out.append(close);
  }

  private void dict(Map<?, ?> map, StringBuilder out) {
    out.append('{');
    String separator = "";
    for (Map.Entry<?, ?> entry : map.entrySet()) {
      out.append(separator);
      repr(entry.getKey(), out);
      out.append(": ");
      repr(entry.getValue(), out);
      separator = ", ";
    }
    out.append('}');
  }

  private static void quote(String text, StringBuilder out) {
    char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
    out.append(quote);
    text.codePoints()
        .forEach(
            c -> {
              if (c == quote || c == '\\') {
                out.append('\\').append((char) c);
              } else if (c == '\n' || c == '\r' || c == '\t') {
                out.append(c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
              } else if (StringMethods.isPrintable(c)) {
                out.appendCodePoint(c);
              } else if (c < 0x100) {
                out.append(String.format("\\x%02x", c));
              } else {
                out.append(String.format(c < 0x10000 ? "\\u%04x" : "\\U%08x", c));
              }
            });
    out.append(quote);
  }

  /** {@code repr(float)}: the fewest digits that read back as the same number. */
  static String floating(double value) {
    if (Double.isNaN(value)) {
      return "nan";
    } else if (Double.isInfinite(value)) {
      return value > 0 ? "inf" : "-inf";
    } else if (value == 0) {
      return 1 / value < 0 ? "-0.0" : "0.0";
    }
    BigDecimal exact = new BigDecimal(value);
    BigDecimal shortest = exact;
    for (int digits = 1; digits <= SHORTEST_DIGITS_MAX; digits++) {
      shortest = exact.round(new MathContext(digits, RoundingMode.HALF_EVEN));
      if (shortest.doubleValue() == value) {
        break;
      }
    }
    shortest = shortest.stripTrailingZeros();
    int exponent = shortest.precision() - shortest.scale() - 1;
    if (exponent < -4 || exponent >= 16) {
      String digits = shortest.unscaledValue().abs().toString();
      String mantissa = digits.charAt(0) + (digits.length() > 1 ? "." + digits.substring(1) : "");
      String sign = value < 0 ? "-" : "";
      return sign
          + mantissa
          + (exponent < 0 ? "e-" : "e+")
          + (Math.abs(exponent) < 10 ? "0" : "")
          + Math.abs(exponent);
    }
    String plain = shortest.toPlainString();
    return plain.indexOf('.') < 0 ? plain + ".0" : plain;
  }

  /**
   * How {@code json.dumps} writes.
   *
   * @param indent text of one level, or null for one line
   */
  record JsonStyle(boolean ascii, String indent, String item, String key, boolean sorted) {}

  String json(Object value, JsonStyle style) {
    StringBuilder out = new StringBuilder();
    json(value, style, "\n", out);
    budget.chars(out.length());
    return out.toString();
  }

  private void json(Object value, JsonStyle style, String newline, StringBuilder out) {
    budget.step();
    budget.enter();
    if (value == null || value instanceof Boolean) {
      out.append(value);
    } else if (value instanceof Double number) {
      out.append(jsonFloat(number));
    } else if (value instanceof Number) {
      out.append(value);
    } else if (Values.isText(value)) {
      jsonString(value.toString(), style.ascii(), out);
    } else if (value instanceof List || value instanceof Tuple) {
      jsonList(value instanceof Tuple t ? t.list() : (List<?>) value, style, newline, out);
    } else if (value instanceof Map<?, ?> map) {
      jsonDict(map, style, newline, out);
    } else {
      throw Failure.runtime("tojson cannot write a " + Values.typeName(value));
    }
    checkSize(out);
    budget.leave();
  }

  private static String jsonFloat(double number) {
    if (Double.isFinite(number)) {
      return floating(number);
    }
    return Double.isNaN(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
  }

  private void jsonList(List<?> items, JsonStyle style, String newline, StringBuilder out) {
    String inner = style.indent() == null ? "" : newline + style.indent();
    out.append('[');
    String separator = inner;
    for (Object item : items) {
      out.append(separator);
      json(item, style, inner, out);
      separator = style.item() + inner;
    }
    out.append(items.isEmpty() || style.indent() == null ? "]" : newline + "]");
  }

  private void jsonDict(Map<?, ?> map, JsonStyle style, String newline, StringBuilder out) {
    String inner = style.indent() == null ? "" : newline + style.indent();
    List<Map.Entry<?, ?>> entries = new ArrayList<>(map.entrySet());
    if (style.sorted()) {
      Comparator<Object> order = new Operators(budget, this)::compare;
      entries.sort((x, y) -> order.compare(x.getKey(), y.getKey()));
    }
    out.append('{');
    String separator = inner;
    for (Map.Entry<?, ?> entry : entries) {
      out.append(separator);
      jsonString(jsonKey(entry.getKey()), style.ascii(), out);
      out.append(style.key());
      json(entry.getValue(), style, inner, out);
      separator = style.item() + inner;
    }
    out.append(entries.isEmpty() || style.indent() == null ? "}" : newline + "}");
  }

  private static String jsonKey(Object key) {
    if (key == null || key instanceof Boolean) {
      return String.valueOf(key);
    } else if (key instanceof Double number) {
      return jsonFloat(number);
    } else if (Values.isText(key) || key instanceof Number) {
      return key.toString();
    }
    throw Failure.runtime("tojson cannot write a dict's key of type " + Values.typeName(key));
  }

  private static void jsonString(String text, boolean ascii, StringBuilder out) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        case '\b' -> out.append("\\b");
        case '\f' -> out.append("\\f");
        default -> {
          if (c < 0x20 || (ascii && c > 0x7e)) {
            out.append(String.format("\\u%04x", (int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }

  /**
   * C's strftime in the C locale, with glibc's flags {@code -}, {@code _}, {@code 0}, {@code ^}.
   */
  static String time(String format, ZonedDateTime now) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < format.length(); i++) {
      char c = format.charAt(i);
      if (c != '%' || i + 1 == format.length()) {
        out.append(c);
        continue;
      }
      char flag = format.charAt(++i);
      boolean flagged = "-_0^".indexOf(flag) >= 0 && i + 1 < format.length();
      char directive = flagged ? format.charAt(++i) : flag;
      String value = directive(directive, now);
      if (value == null) {
        out.append('%').append(flagged ? flag : "").append(directive);
      } else {
        out.append(flagged ? flagged(value, flag) : value);
      }
    }
    return out.toString();
  }

  private static String flagged(String value, char flag) {
    String bare = value.replaceFirst("^[0 ]+(?=.)", "");
    return switch (flag) {
      case '-' -> bare;
      case '_' -> " ".repeat(value.length() - bare.length()) + bare;
      case '^' -> value.toUpperCase(Locale.ROOT);
      default -> "0".repeat(value.length() - bare.length()) + bare;
    };
  }

  private static String directive(char directive, ZonedDateTime now) {
    String pattern =
        switch (directive) {
          case 'a' -> "EEE";
          case 'A' -> "EEEE";
          case 'b', 'h' -> "MMM";
          case 'B' -> "MMMM";
          case 'd' -> "dd";
          case 'e' -> "ppd";
          case 'f' -> "SSSSSS";
          case 'H' -> "HH";
          case 'I' -> "hh";
          case 'j' -> "DDD";
          case 'k' -> "ppH";
          case 'l' -> "pph";
          case 'm' -> "MM";
          case 'M' -> "mm";
          case 'p' -> "a";
          case 'S' -> "ss";
          case 'y' -> "uu";
          case 'Y' -> "uuuu";
          case 'F' -> "uuuu-MM-dd";
          case 'T', 'X' -> "HH:mm:ss";
          case 'D', 'x' -> "MM/dd/uu";
          case 'R' -> "HH:mm";
          case 'r' -> "hh:mm:ss a";
          case 'c' -> "EEE MMM ppd HH:mm:ss uuuu";
          default -> null;
        };
    if (pattern != null) {
      return DateTimeFormatter.ofPattern(pattern, Locale.ENGLISH).format(now);
    }
    int weekday = now.getDayOfWeek().getValue();
    int yearDay = now.getDayOfYear();
    return switch (directive) {
      case 'P' -> now.getHour() < 12 ? "am" : "pm";
      case 'u' -> String.valueOf(weekday);
      case 'w' -> String.valueOf(weekday % 7);
      case 'U' -> two((yearDay + 6 - weekday % 7) / 7);
      case 'W' -> two((yearDay + 6 - (weekday + 6) % 7) / 7);
      case 'V' -> two(now.get(java.time.temporal.IsoFields.WEEK_OF_WEEK_BASED_YEAR));
      case 'G' -> String.valueOf(now.get(java.time.temporal.IsoFields.WEEK_BASED_YEAR));
      case 'C' -> two(now.getYear() / 100);
      case 's' -> String.valueOf(now.toEpochSecond());
      case 'Z', 'z' -> "";
      case 'n' -> "\n";
      case 't' -> "\t";
      case '%' -> "%";
      default -> null;
    };
  }

  private static String two(int number) {
    return (number < 10 ? "0" : "") + number;
  }
}
