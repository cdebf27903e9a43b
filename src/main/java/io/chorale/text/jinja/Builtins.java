package io.chorale.text.jinja;

import io.chorale.text.jinja.Template.Failure;
import io.chorale.text.jinja.Template.Kind;
import io.chorale.text.jinja.Values.Args;
import io.chorale.text.jinja.Values.Attributes;
import io.chorale.text.jinja.Values.Callable;
import io.chorale.text.jinja.Values.Function;
import io.chorale.text.jinja.Values.Markup;
import io.chorale.text.jinja.Values.Namespace;
import io.chorale.text.jinja.Values.Range;
import io.chorale.text.jinja.Values.Tuple;
import io.chorale.text.jinja.Values.Undefined;
import io.chorale.text.jinja.Values.View;
import java.math.BigInteger;
import java.time.Clock;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Tests ({@code is ...}) and global functions. The table of tests is stateless. */
final class Builtins {
  /** {@code input is name(args)}. */
  interface TestFunction {
    boolean apply(Evaluator evaluator, Object input, Args args);
  }

  static final Map<String, TestFunction> TESTS = new HashMap<>();

  static {
    test("defined", x -> !(x instanceof Undefined));
    test("undefined", x -> x instanceof Undefined);
    test("none", x -> x == null);
    test("boolean", x -> x instanceof Boolean);
    test("true", x -> Boolean.TRUE.equals(x));
    test("false", x -> Boolean.FALSE.equals(x));
    test("integer", x -> x instanceof Long || x instanceof BigInteger);
    test("float", x -> x instanceof Double);
    test("number", x -> x instanceof Number || x instanceof Boolean);
    test("string", Values::isText);
    test("mapping", x -> x instanceof Map);
    test("iterable", Operators::isIterable);
    test("sequence", x -> Operators.hasLength(x) && !(x instanceof View));
    test("callable", x -> x instanceof Callable);
    test("escaped", x -> x instanceof Markup);
    TESTS.put("lower", (e, x, a) -> StringMethods.is("islower", e.text.str(x)));
    TESTS.put("upper", (e, x, a) -> StringMethods.is("isupper", e.text.str(x)));
    TESTS.put("odd", (e, x, a) -> e.operators.equal(e.operators.binary("%", x, 2L), 1L));
    TESTS.put("even", (e, x, a) -> e.operators.equal(e.operators.binary("%", x, 2L), 0L));
    TESTS.put(
        "divisibleby", (e, x, a) -> e.operators.equal(e.operators.binary("%", x, one(a)), 0L));
    TESTS.put("filter", (e, x, a) -> x instanceof String name && Filters.exists(name));
    TESTS.put("test", (e, x, a) -> x instanceof String name && TESTS.containsKey(name));
    TESTS.put("sameas", (e, x, a) -> same(x, one(a)));
    Map<String, List<String>> operators =
        Map.of(
            "==", List.of("==", "eq", "equalto"),
            "!=", List.of("!=", "ne"),
            ">", List.of(">", "gt", "greaterthan"),
            ">=", List.of(">=", "ge"),
            "<", List.of("<", "lt", "lessthan"),
            "<=", List.of("<=", "le"),
            "in", List.of("in"));
    operators.forEach(
        (op, names) ->
            names.forEach(name -> TESTS.put(name, (e, x, a) -> e.operators.test(op, x, one(a)))));
  }

  private Builtins() {}

  private static void test(String name, java.util.function.Predicate<Object> predicate) {
    TESTS.put(
        name,
        (e, x, args) -> {
          args.expect(0);
          return predicate.test(x);
        });
  }

  private static Object one(Args args) {
    return args.expect(1, "other").get(0, "other");
  }

  private static boolean same(Object x, Object y) {
    boolean small = x instanceof Boolean || x instanceof Long || x instanceof String;
    return x == y || (small && y != null && x.equals(y));
  }

  static Map<String, Object> globals(Evaluator e, Clock clock) {
    Map<String, Callable> functions =
        Map.of(
            "range", args -> range(e, args),
            "dict", args -> dict(e, args),
            "namespace", args -> namespace(e, args),
            "cycler", Cycler::new,
            "joiner", Builtins::joiner,
            "raise_exception", args -> raise(e, args),
            "strftime_now",
                args ->
                    time(args.expect(1, "format").text(0, "format", ""), ZonedDateTime.now(clock)),
            "lipsum",
                args -> {
                  throw Failure.runtime("lipsum() is refused: a prompt has no use for it");
                });
    Map<String, Object> globals = new HashMap<>();
    functions.forEach(
        (name, body) ->
            globals.put(name, new Function(name, args -> body.call(args.as(name + "()")))));
    return globals;
  }

  private static Object raise(Evaluator e, Args args) {
    throw new Failure(Kind.RAISED, e.text.str(args.expect(1, "message").get(0, "message")));
  }

  private static Object range(Evaluator e, Args args) {
    args.expect(1, "start", "stop", "step");
    boolean single = args.positional().size() == 1;
    long start = single ? 0 : args.integer(0, "start", 0);
    long stop = single ? args.integer(0, "stop", 0) : args.integer(1, "stop", 0);
    long step = args.integer(2, "step", 1);
    if (step == 0) {
      throw Failure.runtime("range() step is 0, wanted another number");
    }
    Range range = new Range(start, stop, step);
    e.budget.rangeItems(range.size());
    return range;
  }

  private static Map<Object, Object> dict(Evaluator e, Args args) {
    Map<Object, Object> result = new LinkedHashMap<>();
    if (args.positional().size() > 1) {
      throw Failure.runtime(args.who() + " takes at most one dict or list of pairs");
    }
    for (Object source : args.positional()) {
      if (source instanceof Map<?, ?> map) {
        result.putAll(map);
      } else {
        for (Object item : e.operators.list(source)) {
          List<Object> pair = e.operators.list(item);
          if (pair.size() != 2) {
            throw Failure.runtime(args.who() + " wants pairs, had " + pair.size() + " values");
          }
          result.put(Operators.key(pair.get(0)), pair.get(1));
        }
      }
    }
    result.putAll(args.named());
    return result;
  }

  private static Object namespace(Evaluator e, Args args) {
    Map<Object, Object> fields = dict(e, args);
    fields.keySet().forEach(Namespace::checkName);
    return new Namespace(fields);
  }

  private static Object joiner(Args args) {
    Object separator = args.expect(0, "sep").get(0, "sep", ", ");
    boolean[] used = {false};
    return new Function(
        "joiner",
        none -> {
          Object result = used[0] ? separator : "";
          used[0] = true;
          return result;
        });
  }

  /** {@code cycler(...)}: walks round its values for as long as it is asked. */
  private static final class Cycler implements Attributes {
    private final List<Object> values;
    private int position;

    Cycler(Args args) {
      values = args.positional();
      if (values.isEmpty()) {
        throw Failure.runtime("cycler() wants at least one value");
      }
    }

    @Override
    public Object attribute(String name) {
      return switch (name) {
        case "current" -> values.get(position);
        case "items" -> new Tuple(values);
        case "pos" -> (long) position;
        case "next" ->
            new Function(
                name,
                args -> {
                  Object value = values.get(position);
                  position = (position + 1) % values.size();
                  return value;
                });
        case "reset" ->
            new Function(
                name,
                args -> {
                  position = 0;
                  return null;
                });
        default -> Values.MISSING;
      };
    }
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
