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
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
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
    test("iterable", Values::isIterable);
    test("sequence", x -> Values.hasLength(x) && !(x instanceof View));
    test("callable", x -> x instanceof Callable || x instanceof Undefined);
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
                    PyText.time(
                        args.expect(1, "format").text(0, "format", ""), ZonedDateTime.now(clock)),
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
          result.put(Values.key(pair.get(0)), pair.get(1));
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

  /** Renders a recursive loop's body for inner items. */
  interface Recursion {
    String render(Object items, int depth);
  }

  /** The variable {@code loop}. Looks one item ahead only when asked to, as jinja2 does. */
  static final class Loop implements Attributes, Callable {
    private final Operators operators;
    private Iterator<Object> items;
    private long length;
    private final int depth;
    private final Recursion recursion;
    private long index0 = -1;
    private Object before = Values.MISSING;
    private Object current = Values.MISSING;
    private Object after = Values.MISSING;
    private Object lastChanged = Values.MISSING;

    Loop(Operators operators, Iterator<Object> items, long length, int depth, Recursion recursion) {
      this.operators = operators;
      this.items = items;
      this.length = length;
      this.depth = depth;
      this.recursion = recursion;
    }

    boolean advance() {
      Object next = peek();
      if (next == Values.MISSING) {
        return false;
      }
      after = Values.MISSING;
      index0++;
      before = current;
      current = next;
      return true;
    }

    Object current() {
      return current;
    }

    private Object peek() {
      if (after == Values.MISSING && items.hasNext()) {
        after = items.next();
      }
      return after;
    }

    private long length() {
      if (length < 0) {
        List<Object> rest = operators.list(items);
        length = index0 + 1 + rest.size() + (after == Values.MISSING ? 0 : 1);
        items = rest.iterator();
      }
      return length;
    }

    @Override
    public Object attribute(String name) {
      return switch (name) {
        case "index" -> index0 + 1;
        case "index0" -> index0;
        case "revindex" -> length() - index0;
        case "revindex0" -> length() - index0 - 1;
        case "first" -> index0 == 0;
        case "last" -> peek() == Values.MISSING;
        case "length" -> length();
        case "depth" -> (long) depth + 1;
        case "depth0" -> (long) depth;
        case "previtem" -> index0 == 0 ? new Undefined("there is no previous item") : before;
        case "nextitem" ->
            peek() == Values.MISSING ? new Undefined("there is no next item") : after;
        case "cycle" -> new Function(name, this::cycle);
        case "changed" -> new Function(name, this::changed);
        default -> Values.MISSING;
      };
    }

    private Object cycle(Args args) {
      if (args.positional().isEmpty()) {
        throw Failure.runtime("loop.cycle() wants at least one value");
      }
      return args.positional().get((int) (index0 % args.positional().size()));
    }

    private Object changed(Args args) {
      Object now = new Tuple(args.positional());
      boolean changed = lastChanged == Values.MISSING || !operators.equal(lastChanged, now);
      lastChanged = now;
      return changed;
    }

    @Override
    public Object call(Args args) {
      if (recursion == null) {
        throw Failure.runtime("loop() wants a loop marked 'recursive'");
      }
      return recursion.render(args.as("loop()").expect(1, "items").get(0, "items"), depth + 1);
    }
  }
}
