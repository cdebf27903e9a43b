package io.chorale.text.jinja;

import io.chorale.text.jinja.Template.Budget;
import io.chorale.text.jinja.Template.Failure;
import io.chorale.text.jinja.Values.Args;
import io.chorale.text.jinja.Values.Tuple;
import io.chorale.text.jinja.Values.Undefined;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Python's {@code "..." % args} and {@code "...".format(...)}. One render, one thread. */
final class Formats {
  private static final Pattern PERCENT =
      Pattern.compile(
          "%(?:\\(([^)]*)\\))?([-+ 0#]*)(\\d{0,9}|\\*)(?:\\.(\\d{0,9}))?[hlL]?(.?)",
          Pattern.DOTALL);
  private static final Pattern SPEC =
      Pattern.compile(
          "(?:(.)?([<>=^]))?([-+ ]?)(#?)(0?)(\\d{0,9})([,_]?)(?:\\.(\\d{1,9}))?([a-zA-Z%]?)",
          Pattern.DOTALL);
  private static final Pattern FIELD =
      Pattern.compile(
          "([^.\\[!:]*)((?:\\.[^.\\[!:]+|\\[[^]]+])*)(?:!([rsa]))?(?::(.*))?", Pattern.DOTALL);
  private static final Pattern STEP = Pattern.compile("\\.([^.\\[]+)|\\[([^]]+)]");
  private static final int MAX_PRECISION = 1000;
  private final Budget budget;
  private final PyText text;

  Formats(Budget budget, PyText text) {
    this.budget = budget;
    this.text = text;
  }

  /** {@code format % right}; {@code escape} for a safe format: str operands are escaped. */
  String percent(String format, Object right, boolean escape) {
    List<?> args = right instanceof Tuple tuple ? tuple.list() : java.util.Arrays.asList(right);
    StringBuilder out = new StringBuilder();
    Matcher matcher = PERCENT.matcher(format);
    int used = 0;
    int from = 0;
    while (matcher.find(from)) {
      out.append(format, from, matcher.start());
      from = matcher.end();
      String type = matcher.group(5);
      if (type.equals("%")) {
        out.append('%');
      } else {
        Object value;
        if (matcher.group(1) != null) {
          value = named(right, matcher.group(1));
        } else if (used < args.size()) {
          value = args.get(used++);
        } else {
          throw Failure.runtime("format wants more values than the " + args.size() + " it got");
        }
        String piece = converted(matcher, type, value, escape);
        budget.grown((long) out.length() + piece.length(), piece.length());
        out.append(piece);
      }
    }
    boolean leftOversAllowed = !(right instanceof Tuple) && indexable(right);
    if (used < args.size() && !leftOversAllowed) {
      throw Failure.runtime("format uses %d of its %d values".formatted(used, args.size()));
    }
    return out.append(format.substring(from)).toString();
  }

  /** What Python would take for a mapping here: it may be left unused. */
  private static boolean indexable(Object value) {
    return value instanceof Undefined || (Values.hasLength(value) && !Values.isText(value));
  }

  private static Object named(Object right, String key) {
    if (right instanceof Map<?, ?> map && map.containsKey(key)) {
      return map.get(key);
    }
    throw Failure.runtime("format wants a dict with the key '" + key + "'");
  }

  private String converted(Matcher matcher, String type, Object value, boolean escape) {
    String flags = matcher.group(2);
    int precision = precision(matcher.group(4), -1);
    String sign = flags.contains("+") ? "+" : flags.contains(" ") ? " " : "";
    boolean number = "diuoxXeEfFgG".contains(type) && !type.isEmpty();
    String body;
    switch (type) {
      case "s", "r", "a" -> {
        body = type.equals("s") ? text.str(value) : text.repr(value);
        body = escape ? text.escape(type.equals("s") ? value : body) : body;
        body = precision >= 0 ? cut(body, precision) : body;
      }
      case "c" ->
          body = value instanceof Long code ? Character.toString(code.intValue()) : text.str(value);
      case "d", "i", "u" -> body = signed(integer(value, true), sign);
      case "o", "x", "X" -> body = signed(radix(value, type, flags.contains("#")), sign);
      case "e", "E", "f", "F", "g", "G" ->
          body = signed(floating(decimal(value), type, precision < 0 ? 6 : precision), sign);
      default -> throw Failure.runtime("format has an unknown conversion '%" + type + "'");
    }
    int width = matcher.group(3).isEmpty() ? 0 : Integer.parseInt(matcher.group(3));
    if (number && flags.contains("0") && !flags.contains("-")) {
      return StringMethods.zfill(body, width, budget);
    }
    return StringMethods.pad(body, width, " ", flags.contains("-") ? '<' : '>', budget);
  }

  private static int precision(String digits, int absent) {
    if (digits == null) {
      return absent;
    }
    int precision = digits.isEmpty() ? 0 : Integer.parseInt(digits);
    if (precision > MAX_PRECISION) {
      throw Failure.runtime("precision %d, wanted <= %d".formatted(precision, MAX_PRECISION));
    }
    return precision;
  }

  private static String cut(String body, int precision) {
    return StringMethods.slice(body, 0, Math.min(precision, StringMethods.length(body)));
  }

  private static String signed(String digits, String sign) {
    return digits.startsWith("-") ? digits : sign + digits;
  }

  private static String integer(Object value, boolean truncates) {
    if (value instanceof Boolean bool) {
      return bool ? "1" : "0";
    } else if (value instanceof Double number && truncates && Double.isFinite(number)) {
      return new BigDecimal(number).toBigInteger().toString();
    } else if (value instanceof Long || value instanceof BigInteger) {
      return value.toString();
    }
    throw badNumber(value);
  }

  private static Failure badNumber(Object value) {
    return value instanceof Undefined undefined
        ? undefined.failure()
        : Failure.runtime("format wants a number, had " + Values.typeName(value));
  }

  private static double decimal(Object value) {
    if (value instanceof Number number) {
      return number.doubleValue();
    } else if (value instanceof Boolean bool) {
      return bool ? 1 : 0;
    }
    throw badNumber(value);
  }

  private static String radix(Object value, String type, boolean prefix) {
    int base = type.equals("o") ? 8 : type.equals("b") ? 2 : 16;
    BigInteger number = new BigInteger(integer(value, false));
    String digits = number.abs().toString(base);
    digits = type.equals("X") ? digits.toUpperCase(Locale.ROOT) : digits;
    return (number.signum() < 0 ? "-" : "") + (prefix ? "0" + type : "") + digits;
  }

  private static String floating(double value, String type, int precision) {
    if (!Double.isFinite(value)) {
      return PyText.floating(value);
    }
    String digits =
        switch (type.toLowerCase(Locale.ROOT)) {
          case "f" ->
              new BigDecimal(value).setScale(precision, RoundingMode.HALF_EVEN).toPlainString();
          case "e" -> scientific(value, precision);
          default -> general(value, Math.max(1, precision));
        };
    boolean negativeZero = value == 0 && 1 / value < 0;
    digits = negativeZero || (value < 0 && !digits.startsWith("-")) ? "-" + digits : digits;
    return type.equals("E") || type.equals("G") ? digits.toUpperCase(Locale.ROOT) : digits;
  }

  private static String scientific(double value, int precision) {
    BigDecimal rounded =
        new BigDecimal(value).round(new MathContext(precision + 1, RoundingMode.HALF_EVEN));
    int exponent = value == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
    String plain =
        rounded.movePointLeft(exponent).setScale(precision, RoundingMode.HALF_EVEN).toPlainString();
    int size = Math.abs(exponent);
    return plain + (exponent < 0 ? "e-" : "e+") + (size < 10 ? "0" : "") + size;
  }

  private static String general(double value, int precision) {
    BigDecimal rounded =
        new BigDecimal(value).round(new MathContext(precision, RoundingMode.HALF_EVEN));
    int exponent = value == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
    if (exponent >= -4 && exponent < precision) {
      BigDecimal stripped = value == 0 ? BigDecimal.ZERO : rounded.stripTrailingZeros();
      return stripped.toPlainString();
    }
    String[] parts = scientific(value, precision - 1).split("e");
    String mantissa = parts[0].contains(".") ? parts[0].replaceAll("\\.?0+$", "") : parts[0];
    return mantissa + "e" + parts[1];
  }

  /** {@code format.format(*args, **named)}. */
  String format(String format, Args args, Evaluator evaluator) {
    return new Fields(args, evaluator).expand(format, 2);
  }

  private final class Fields {
    private final Args args;
    private final Evaluator evaluator;
    private int next;

    Fields(Args args, Evaluator evaluator) {
      this.args = args;
      this.evaluator = evaluator;
    }

    String expand(String format, int levels) {
      if (levels == 0) {
        throw Failure.runtime("format() fields are nested too deeply");
      }
      StringBuilder out = new StringBuilder();
      int i = 0;
      while (i < format.length()) {
        char c = format.charAt(i);
        if ((c == '{' || c == '}') && format.startsWith(String.valueOf(c), i + 1)) {
          out.append(c);
          i += 2;
        } else if (c == '{') {
          int end = fieldEnd(format, i);
          String piece = field(format.substring(i + 1, end), levels);
          budget.grown((long) out.length() + piece.length(), piece.length());
          out.append(piece);
          i = end + 1;
        } else if (c == '}') {
          throw Failure.runtime("format() met a single '}', wanted '}}'");
        } else {
          out.append(c);
          i++;
        }
      }
      return out.toString();
    }

    private static int fieldEnd(String format, int start) {
      int depth = 0;
      for (int i = start; i < format.length(); i++) {
        depth += format.charAt(i) == '{' ? 1 : format.charAt(i) == '}' ? -1 : 0;
        if (depth == 0) {
          return i;
        }
      }
      throw Failure.runtime("format() met a '{' that is never closed");
    }

    private String field(String field, int levels) {
      Matcher matcher = FIELD.matcher(field);
      if (!matcher.matches()) {
        throw Failure.runtime("format() cannot read the field '{" + field + "}'");
      }
      Object value = argument(matcher.group(1));
      Matcher step = STEP.matcher(matcher.group(2));
      while (step.find()) {
        String index = step.group(2);
        value =
            index == null
                ? evaluator.attribute(value, step.group(1))
                : evaluator.item(value, isNumber(index) ? (Object) Long.valueOf(index) : index);
      }
      if (matcher.group(3) != null) {
        value = matcher.group(3).equals("s") ? text.str(value) : text.repr(value);
      }
      String spec = matcher.group(4) == null ? "" : matcher.group(4);
      return formatted(value, spec.contains("{") ? expand(spec, levels - 1) : spec);
    }

    private static boolean isNumber(String index) {
      return index.matches("\\d{1,9}");
    }

    private Object argument(String name) {
      boolean numbered = name.isEmpty() || isNumber(name);
      int index = name.isEmpty() ? next++ : numbered ? Integer.parseInt(name) : -1;
      if (numbered && index < args.positional().size()) {
        return args.positional().get(index);
      } else if (!numbered && args.named().containsKey(name)) {
        return args.named().get(name);
      }
      throw Failure.runtime("format() has no argument " + (numbered ? index : "'" + name + "'"));
    }
  }

  /** {@code format(value, spec)}. */
  private String formatted(Object value, String spec) {
    if (spec.isEmpty()) {
      return text.str(value);
    }
    Matcher matcher = SPEC.matcher(spec);
    boolean number = value instanceof Number || value instanceof Boolean;
    if (!matcher.matches() || !(number || Values.isText(value))) {
      throw Failure.runtime(
          "format() cannot write a %s as '%s'".formatted(Values.typeName(value), spec));
    }
    int precision = precision(matcher.group(8), -1);
    String type = matcher.group(9);
    String body = number ? numeric(value, type, precision, matcher) : text.str(value);
    if (!number) {
      if (!type.isEmpty() && !type.equals("s")) {
        throw Failure.runtime("format() wants a number for '" + type + "', had str");
      }
      body = precision >= 0 ? cut(body, precision) : body;
    }
    String fill = matcher.group(1) == null ? " " : matcher.group(1);
    String align = matcher.group(2);
    int width = matcher.group(6).isEmpty() ? 0 : Integer.parseInt(matcher.group(6));
    if (number && (align == null ? !matcher.group(5).isEmpty() : align.equals("="))) {
      return StringMethods.zfill(body, width, budget);
    }
    char side = align == null ? (number ? '>' : '<') : align.charAt(0);
    return StringMethods.pad(body, width, fill, side, budget);
  }

  private String numeric(Object value, String type, int precision, Matcher spec) {
    String sign = spec.group(3).equals("-") ? "" : spec.group(3);
    String digits;
    if (type.equals("%")) {
      digits = floating(decimal(value) * 100, "f", precision < 0 ? 6 : precision);
    } else if (!type.isEmpty() && "eEfFgG".contains(type)) {
      digits = floating(decimal(value), type, precision < 0 ? 6 : precision);
    } else if (value instanceof Double number) {
      if (!type.isEmpty()) {
        throw Failure.runtime("format() wants an int for '" + type + "', had float");
      }
      digits = precision < 0 ? PyText.floating(number) : floating(number, "g", precision);
    } else if (!type.isEmpty() && "boxX".contains(type)) {
      digits = radix(value, type, !spec.group(4).isEmpty());
    } else if (type.equals("c")) {
      return Character.toString(Values.toInt(value, "format()"));
    } else {
      digits = integer(value, false);
    }
    if (!spec.group(7).isEmpty()) {
      digits = grouped(digits, spec.group(7));
    }
    return signed(digits, sign) + (type.equals("%") ? "%" : "");
  }

  private static String grouped(String digits, String separator) {
    int start = digits.startsWith("-") ? 1 : 0;
    int end = start;
    while (end < digits.length() && Character.isDigit(digits.charAt(end))) {
      end++;
    }
    StringBuilder out = new StringBuilder(digits);
    for (int i = end - 3; i > start; i -= 3) {
      out.insert(i, separator);
    }
    return out.toString();
  }
}
