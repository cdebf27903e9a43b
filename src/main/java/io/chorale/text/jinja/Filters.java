package io.chorale.text.jinja;

import io.chorale.text.jinja.Template.Failure;
import io.chorale.text.jinja.Values.Args;
import io.chorale.text.jinja.Values.Markup;
import io.chorale.text.jinja.Values.Tuple;
import io.chorale.text.jinja.Values.Undefined;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Filters on single values, and the table of all filters. Stateless. */
final class Filters {
  /** {@code input|name(args)}. */
  interface FilterFunction {
    Object apply(Evaluator evaluator, Object input, Args args);
  }

  private static final Set<String> REFUSED =
      Set.of("random", "urlize", "pprint", "wordwrap", "filesizeformat", "xmlattr");
  private static final Pattern FLOAT =
      Pattern.compile("[-+]?(\\d+(_\\d+)*\\.?(\\d+(_\\d+)*)?|\\.\\d+(_\\d+)*)([eE][-+]?\\d+)?");
  private static final Pattern WORD = Pattern.compile("\\w+", Pattern.UNICODE_CHARACTER_CLASS);
  private static final Pattern WORD_START = Pattern.compile("[-\\s({\\[<]+");
  private static final int MAX_ROUND_DIGITS = 400;
  private static final Map<String, FilterFunction> ALL = new HashMap<>();

  static {
    SequenceFilters.register(ALL);
    ALL.put("abs", (e, x, a) -> abs(x));
    ALL.put("attr", Filters::attr);
    ALL.put("capitalize", (e, x, a) -> keep(x, StringMethods.capitalize(e.text.str(x))));
    ALL.put("center", Filters::center);
    ALL.put("default", Filters::orDefault);
    ALL.put("escape", (e, x, a) -> new Markup(e.text.escape(x)));
    ALL.put("float", Filters::toFloat);
    ALL.put("forceescape", (e, x, a) -> new Markup(e.text.escape(e.text.str(x))));
    ALL.put("format", Filters::format);
    ALL.put("indent", Filters::indent);
    ALL.put("int", Filters::toInt);
    ALL.put("lower", (e, x, a) -> keep(x, e.text.str(x).toLowerCase(Locale.ROOT)));
    ALL.put("replace", Filters::replace);
    ALL.put("round", Filters::round);
    ALL.put("safe", (e, x, a) -> new Markup(e.text.str(x)));
    ALL.put("string", (e, x, a) -> x instanceof Markup ? x : e.text.str(x));
    ALL.put("striptags", (e, x, a) -> stripTags(e.text.str(x)));
    ALL.put("title", (e, x, a) -> keep(x, title(e.text.str(x))));
    ALL.put("tojson", Filters::toJson);
    ALL.put("trim", Filters::trim);
    ALL.put("truncate", Filters::truncate);
    ALL.put("upper", (e, x, a) -> keep(x, e.text.str(x).toUpperCase(Locale.ROOT)));
    ALL.put("urlencode", Filters::urlEncode);
    ALL.put("wordcount", (e, x, a) -> WORD.matcher(e.text.str(x)).results().count());
    ALL.put("d", ALL.get("default"));
    ALL.put("e", ALL.get("escape"));
    for (String name : REFUSED) {
      ALL.put(
          name,
          (e, x, a) -> {
            throw Failure.runtime("filter '" + name + "' is refused: a prompt has no use for it");
          });
    }
  }

  private Filters() {}

  static boolean exists(String name) {
    return ALL.containsKey(name);
  }

  static FilterFunction find(String name) {
    FilterFunction filter = ALL.get(name);
    if (filter == null) {
      throw Failure.runtime("no filter named '" + name + "'");
    }
    return filter;
  }

  /** A str result that is as safe as its input was. */
  private static Object keep(Object input, String result) {
    return input instanceof Markup ? new Markup(result) : result;
  }

  private static Object abs(Object x) {
    if (x instanceof Double number) {
      return Math.abs(number);
    } else if (x instanceof Number || x instanceof Boolean) {
      return Values.number(new BigInteger(Operators.plus(x).toString()).abs());
    }
    throw Operators.unsupported("abs", x, x);
  }

  private static Object attr(Evaluator e, Object x, Args args) {
    String name = args.expect(1, "name").text(0, "name", "");
    return x instanceof Map<?, ?> map && map.containsKey(name)
        ? e.attribute(Map.of(), name)
        : e.attribute(x, name);
  }

  private static Object center(Evaluator e, Object x, Args args) {
    int width = args.expect(0, "width").integer(0, "width", 80);
    return keep(x, StringMethods.center(e.text.str(x), width, " ", e.budget));
  }

  private static Object orDefault(Evaluator e, Object x, Args args) {
    args.expect(0, "default_value", "boolean");
    boolean falseToo = Operators.truth(args.get(1, "boolean", false));
    return x instanceof Undefined || (falseToo && !Operators.truth(x))
        ? args.get(0, "default_value", "")
        : x;
  }

  private static Object toFloat(Evaluator e, Object x, Args args) {
    Object fallback = args.expect(0, "default").get(0, "default", 0.0);
    if (x instanceof Undefined undefined) {
      throw undefined.failure();
    } else if (x instanceof Boolean bool) {
      return bool ? 1.0 : 0.0;
    } else if (x instanceof Number number) {
      return number.doubleValue();
    }
    Double parsed = Values.isText(x) ? parseFloat(x.toString()) : null;
    return parsed == null ? fallback : parsed;
  }

  private static Double parseFloat(String text) {
    String plain = StringMethods.strip(text, null, true, true);
    String word = plain.toLowerCase(Locale.ROOT).replaceFirst("^[-+]", "");
    double sign = plain.startsWith("-") ? -1 : 1;
    if (word.equals("inf") || word.equals("infinity")) {
      return sign * Double.POSITIVE_INFINITY;
    } else if (word.equals("nan")) {
      return Double.NaN;
    }
    boolean number = plain.length() < 1000 && FLOAT.matcher(plain).matches();
    return number ? Double.valueOf(plain.replace("_", "")) : null;
  }

  private static Object toInt(Evaluator e, Object x, Args args) {
    args.expect(0, "default", "base");
    Object fallback = args.get(0, "default", 0L);
    if (x instanceof Undefined undefined) {
      throw undefined.failure();
    } else if (x instanceof Double number) {
      return truncated(number, fallback);
    } else if (x instanceof Number || x instanceof Boolean) {
      return Operators.plus(x);
    } else if (!Values.isText(x)) {
      return fallback;
    }
    BigInteger parsed = parseInt(x.toString(), args.integer(1, "base", 10));
    if (parsed != null) {
      return Values.number(parsed);
    }
    Double number = parseFloat(x.toString());
    return number == null ? fallback : truncated(number, fallback);
  }

  private static Object truncated(double number, Object fallback) {
    return Double.isFinite(number)
        ? Values.number(new BigDecimal(number).toBigInteger())
        : fallback;
  }

  private static BigInteger parseInt(String text, int base) {
    String digits = StringMethods.strip(text, null, true, true).toLowerCase(Locale.ROOT);
    String sign = digits.startsWith("-") ? "-" : "";
    digits = digits.startsWith("-") || digits.startsWith("+") ? digits.substring(1) : digits;
    String prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "\0";
    digits = digits.startsWith(prefix) ? digits.substring(2) : digits;
    boolean shaped = digits.length() < 400 && digits.matches("[0-9a-z]+(_[0-9a-z]+)*");
    if (!shaped || base < 2 || base > 36) {
      return null;
    }
    try {
      return new BigInteger(sign + digits.replace("_", ""), base);
    } catch (NumberFormatException notInThisBase) {
      return null;
    }
  }

  private static Object format(Evaluator e, Object x, Args args) {
    if (!args.positional().isEmpty() && !args.named().isEmpty()) {
      throw Failure.runtime("filter 'format' wants positional or named values, not both");
    }
    Object right =
        args.named().isEmpty()
            ? new Tuple(args.positional())
            : new LinkedHashMap<Object, Object>(args.named());
    return e.operators.binary("%", x instanceof Markup ? x : e.text.str(x), right);
  }

  private static Object indent(Evaluator e, Object x, Args args) {
    args.expect(0, "width", "first", "blank");
    if (!Values.isText(x)) {
      throw Operators.unsupported("indent", x, x);
    }
    Object width = args.get(0, "width", 4L);
    String indent;
    if (Values.isText(width)) {
      indent = width.toString();
    } else {
      int blanks = Math.max(0, Values.toInt(width, "indent width"));
      e.budget.chars(blanks);
      indent = " ".repeat(blanks);
    }
    boolean blank = Operators.truth(args.get(2, "blank", false));
    StringBuilder out = new StringBuilder();
    if (Operators.truth(args.get(1, "first", false))) {
      out.append(indent);
    }
    List<Object> lines = StringMethods.splitLines(x + "\n", false);
    for (int i = 0; i < lines.size(); i++) {
      String line = (String) lines.get(i);
      int before = out.length();
      out.append(i == 0 ? "" : "\n").append(i > 0 && (blank || !line.isEmpty()) ? indent : "");
      out.append(line);
      e.budget.grown(out.length(), out.length() - before);
    }
    return keep(x, out.toString());
  }

  private static Object replace(Evaluator e, Object x, Args args) {
    args.expect(2, "old", "new", "count");
    String old = e.text.str(args.get(0, "old"));
    String with = e.text.str(args.get(1, "new"));
    Object count = args.get(2, "count");
    int max = count == null ? -1 : Values.toInt(count, "replace count");
    return StringMethods.replace(e.text.str(x), old, with, max, e.budget);
  }

  private static Object round(Evaluator e, Object x, Args args) {
    args.expect(0, "precision", "method");
    int precision = args.integer(0, "precision", 0);
    String method = args.text(1, "method", "common");
    if (!Set.of("common", "ceil", "floor").contains(method)
        || !(x instanceof Number || x instanceof Boolean)) {
      throw Failure.runtime(
          "round wants a number and 'common', 'ceil' or 'floor', had %s and '%s'"
              .formatted(Values.typeName(x), method));
    }
    if (Math.abs(precision) > MAX_ROUND_DIGITS) {
      throw Failure.runtime("round precision %d, wanted within 400".formatted(precision));
    }
    if (!method.equals("common")) {
      double factor = Math.pow(10, precision);
      double scaled = ((Number) Operators.plus(x)).doubleValue() * factor;
      return (method.equals("ceil") ? Math.ceil(scaled) : Math.floor(scaled)) / factor;
    }
    if (x instanceof Double number) {
      return Double.isFinite(number)
          ? (Object)
              new BigDecimal(number).setScale(precision, RoundingMode.HALF_EVEN).doubleValue()
          : number;
    }
    BigDecimal whole = new BigDecimal(Operators.plus(x).toString());
    return Values.number(whole.setScale(precision, RoundingMode.HALF_EVEN).toBigInteger());
  }

  private static Object stripTags(String text) {
    StringBuilder plain = new StringBuilder();
    int from = 0;
    for (int open = text.indexOf('<'); open >= 0; open = text.indexOf('<', from)) {
      boolean comment = text.startsWith("<!--", open);
      int close = comment ? text.indexOf("-->", open) : text.indexOf('>', open);
      if (close < 0) {
        break;
      }
      plain.append(text, from, open);
      from = close + (comment ? 3 : 1);
    }
    plain.append(text.substring(from));
    List<Object> words = StringMethods.split(plain.toString(), null, -1);
    StringBuilder joined = new StringBuilder();
    words.forEach(word -> joined.append(joined.length() == 0 ? "" : " ").append(word));
    return joined
        .toString()
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#39;", "'")
        .replace("&#34;", "\"")
        .replace("&quot;", "\"")
        .replace("&amp;", "&");
  }

  private static String title(String text) {
    StringBuilder out = new StringBuilder();
    Matcher separators = WORD_START.matcher(text);
    int from = 0;
    while (separators.find()) {
      out.append(StringMethods.capitalize(text.substring(from, separators.start())));
      out.append(separators.group());
      from = separators.end();
    }
    return out.append(StringMethods.capitalize(text.substring(from))).toString();
  }

  private static Object toJson(Evaluator e, Object x, Args args) {
    args.expect(0, "ensure_ascii", "indent", "separators", "sort_keys");
    Object indent = args.get(1, "indent");
    String level = null;
    if (Values.isText(indent)) {
      level = indent.toString();
    } else if (indent != null) {
      int blanks = Math.max(0, Values.toInt(indent, "tojson indent"));
      e.budget.chars(blanks);
      level = " ".repeat(blanks);
    }
    List<Object> separators = List.of(level == null ? ", " : ",", ": ");
    if (args.get(2, "separators") != null) {
      separators = e.operators.list(args.get(2, "separators"));
      if (separators.size() != 2 || !separators.stream().allMatch(Values::isText)) {
        throw Failure.runtime("tojson separators want two strs");
      }
    }
    boolean ascii = Operators.truth(args.get(0, "ensure_ascii", false));
    boolean sorted = Operators.truth(args.get(3, "sort_keys", false));
    return e.text.json(
        x,
        new PyText.JsonStyle(
            ascii, level, separators.get(0).toString(), separators.get(1).toString(), sorted));
  }

  private static Object trim(Evaluator e, Object x, Args args) {
    String chars = args.expect(0, "chars").text(0, "chars", null);
    return keep(x, StringMethods.strip(e.text.str(x), chars, true, true));
  }

  private static Object truncate(Evaluator e, Object x, Args args) {
    args.expect(0, "length", "killwords", "end", "leeway");
    String end = args.text(2, "end", "...");
    int length = args.integer(0, "length", 255);
    int leeway = args.get(3, "leeway") == null ? 5 : args.integer(3, "leeway", 5);
    int kept = length - StringMethods.length(end);
    if (kept < 0 || leeway < 0) {
      throw Failure.runtime("truncate wants length >= %d and leeway >= 0".formatted(end.length()));
    }
    if (Values.length(x) <= (long) length + leeway) {
      return x;
    } else if (!Values.isText(x)) {
      throw Operators.unsupported("truncate", x, x);
    }
    String text = x.toString();
    String cut = StringMethods.slice(text, 0, kept);
    int blank = cut.lastIndexOf(' ');
    boolean wholeWords = !Operators.truth(args.get(1, "killwords", false));
    return keep(x, (wholeWords && blank >= 0 ? cut.substring(0, blank) : cut) + end);
  }

  private static Object urlEncode(Evaluator e, Object x, Args args) {
    if (Values.isText(x) || !Values.isIterable(x)) {
      return quote(e, x, false);
    }
    Object pairs = x instanceof Map<?, ?> map ? pairs(map) : x;
    List<String> parts = new ArrayList<>();
    Iterator<Object> iterator = e.operators.iterate(pairs);
    while (iterator.hasNext()) {
      List<Object> pair = e.operators.list(iterator.next());
      if (pair.size() != 2) {
        throw Failure.runtime("urlencode wants pairs");
      }
      parts.add(quote(e, pair.get(0), true) + "=" + quote(e, pair.get(1), true));
    }
    return String.join("&", parts);
  }

  private static Object pairs(Map<?, ?> map) {
    List<Object> pairs = new ArrayList<>();
    map.forEach((key, value) -> pairs.add(Tuple.of(key, value)));
    return pairs;
  }

  private static String quote(Evaluator e, Object value, boolean query) {
    byte[] bytes = e.text.str(value).getBytes(StandardCharsets.UTF_8);
    e.budget.chars(3L * bytes.length);
    StringBuilder out = new StringBuilder();
    for (byte b : bytes) {
      char c = (char) (b & 0xff);
      boolean letter = c < 128 && Character.isLetterOrDigit(c);
      if (letter || "_.-~".indexOf(c) >= 0 || (c == '/' && !query)) {
        out.append(c);
      } else {
        out.append(c == ' ' && query ? "+" : String.format("%%%02X", (int) c));
      }
    }
    return out.toString();
  }
}
