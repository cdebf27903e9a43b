package io.chorale.text.jinja;

import io.chorale.text.jinja.Template.Budget;
import io.chorale.text.jinja.Template.Failure;
import io.chorale.text.jinja.Values.Generator;
import io.chorale.text.jinja.Values.Markup;
import io.chorale.text.jinja.Values.Range;
import io.chorale.text.jinja.Values.Sized;
import io.chorale.text.jinja.Values.Tuple;
import io.chorale.text.jinja.Values.Undefined;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/** Python's operators, truth, equality, order and iteration. One render, one thread. */
final class Operators {
  private static final int MAX_INTEGER_BITS = 8192;
  private final Budget budget;
  private final PyText text;

  Operators(Budget budget, PyText text) {
    this.budget = budget;
    this.text = text;
  }

  static boolean truth(Object value) {
    if (value == null || value instanceof Undefined) {
      return false;
    } else if (value instanceof Boolean bool) {
      return bool;
    } else if (Values.isText(value)) {
      return !value.toString().isEmpty();
    } else if (value instanceof Number number) {
      return number.doubleValue() != 0;
    } else if (value instanceof Collection<?> items) {
      return !items.isEmpty();
    } else if (value instanceof Map<?, ?> map) {
      return !map.isEmpty();
    } else if (value instanceof Sized sized) {
      return !sized.items().isEmpty();
    }
    return true;
  }

  /** {@code iter()}; every step counts against the render's budget. */
  Iterator<Object> iterate(Object value) {
    Iterator<Object> source = rawIterator(value);
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return source.hasNext();
      }

      @Override
      public Object next() {
        budget.step();
        return source.next();
      }
    };
  }

  @SuppressWarnings("unchecked")
  private static Iterator<Object> rawIterator(Object value) {
    if (value instanceof Collection) {
      return ((Collection<Object>) value).iterator();
    } else if (value instanceof Map) {
      return ((Map<Object, Object>) value).keySet().iterator();
    } else if (value instanceof Sized sized) {
      return sized.items().iterator();
    } else if (value instanceof Generator generator) {
      return generator.iterator();
    } else if (value instanceof Iterator) {
      return (Iterator<Object>) value;
    } else if (Values.isText(value)) {
      return value.toString().codePoints().<Object>mapToObj(Character::toString).iterator();
    } else if (value instanceof Undefined) {
      return List.<Object>of().iterator();
    }
    throw Failure.runtime("cannot walk through a " + Values.typeName(value) + ", wanted a list");
  }

  List<Object> list(Object value) {
    List<Object> items = new ArrayList<>();
    Iterator<Object> iterator = iterate(value);
    while (iterator.hasNext()) {
      budget.items(1);
      items.add(iterator.next());
    }
    return items;
  }

  boolean equal(Object a, Object b) {
    budget.step();
    Object left = Values.asNumber(a);
    Object right = Values.asNumber(b);
    if (left == right) {
      return !(left instanceof Double number && number.isNaN());
    } else if (left == null || right == null) {
      return false;
    } else if (left instanceof Number x && right instanceof Number y) {
      return compareNumbers(x, y) == 0 && !isNan(x) && !isNan(y);
    } else if (Values.isText(left) && Values.isText(right)) {
      return left.toString().equals(right.toString());
    } else if (left instanceof Undefined && right instanceof Undefined) {
      return true;
    } else if (left instanceof List<?> x && right instanceof List<?> y) {
      return equalItems(x, y);
    } else if (left instanceof Tuple x && right instanceof Tuple y) {
      return equalItems(x.list(), y.list());
    } else if (left instanceof Range x && right instanceof Range y) {
      return x.items().equals(y.items());
    } else if (left instanceof Map<?, ?> x && right instanceof Map<?, ?> y) {
      return equalMaps(x, y);
    }
    return false;
  }

  private static boolean isNan(Number number) {
    return Double.isNaN(number.doubleValue());
  }

  private boolean equalItems(List<?> x, List<?> y) {
    if (x.size() != y.size()) {
      return false;
    }
    budget.enter();
    boolean same = true;
    for (int i = 0; same && i < x.size(); i++) {
      same = equal(x.get(i), y.get(i));
    }
    budget.leave();
    return same;
  }

  private boolean equalMaps(Map<?, ?> x, Map<?, ?> y) {
    if (x.size() != y.size()) {
      return false;
    }
    budget.enter();
    boolean same = true;
    for (Map.Entry<?, ?> entry : x.entrySet()) {
      same = same && y.containsKey(entry.getKey());
      same = same && equal(entry.getValue(), y.get(entry.getKey()));
    }
    budget.leave();
    return same;
  }

  private static int compareNumbers(Number x, Number y) {
    if (x instanceof Long a && y instanceof Long b) {
      return Long.compare(a, b);
    }
    double left = x.doubleValue();
    double right = y.doubleValue();
    boolean finite = Double.isFinite(left) && Double.isFinite(right);
    if (!finite || (x instanceof Double && y instanceof Double)) {
      return left < right ? -1 : left > right ? 1 : 0;
    }
    return new BigDecimal(x.toString()).compareTo(new BigDecimal(y.toString()));
  }

  /** Order of two values. Fails where Python's {@code <} raises. */
  int compare(Object a, Object b) {
    budget.step();
    Object left = Values.asNumber(a);
    Object right = Values.asNumber(b);
    if (left instanceof Number x && right instanceof Number y) {
      return compareNumbers(x, y);
    } else if (Values.isText(left) && Values.isText(right)) {
      return StringMethods.compare(left.toString(), right.toString());
    } else if (left instanceof List<?> x && right instanceof List<?> y) {
      return compareItems(x, y);
    } else if (left instanceof Tuple x && right instanceof Tuple y) {
      return compareItems(x.list(), y.list());
    }
    throw unsupported("<", a, b);
  }

  private int compareItems(List<?> x, List<?> y) {
    budget.enter();
    int order = 0;
    int shared = Math.min(x.size(), y.size());
    for (int i = 0; order == 0 && i < shared; i++) {
      order = equal(x.get(i), y.get(i)) ? 0 : compare(x.get(i), y.get(i));
    }
    budget.leave();
    return order != 0 ? order : Integer.compare(x.size(), y.size());
  }

  boolean test(String op, Object left, Object right) {
    return switch (op) {
      case "==" -> equal(left, right);
      case "!=" -> !equal(left, right);
      case "in" -> contains(right, left);
      case "not in" -> !contains(right, left);
      case "<" -> compare(left, right) < 0;
      case "<=" -> compare(left, right) <= 0;
      case ">" -> compare(left, right) > 0;
      default -> compare(left, right) >= 0;
    };
  }

  boolean contains(Object container, Object item) {
    if (Values.isText(container)) {
      if (!Values.isText(item)) {
        throw Failure.runtime("'in' a str wants a str, had " + Values.typeName(item));
      }
      return container.toString().contains(item.toString());
    } else if (container instanceof Map<?, ?> map) {
      return map.containsKey(Values.keyIn(map, item));
    }
    Iterator<Object> items = iterate(container);
    while (items.hasNext()) {
      if (equal(items.next(), item)) {
        return true;
      }
    }
    return false;
  }

  static Failure unsupported(String op, Object left, Object right) {
    for (Object side : new Object[] {left, right}) {
      if (side instanceof Undefined undefined) {
        return undefined.failure();
      }
    }
    return Failure.runtime(
        "'%s' does not work between %s and %s"
            .formatted(op, Values.typeName(left), Values.typeName(right)));
  }

  Object binary(String op, Object left, Object right) {
    Object a = Values.asNumber(left);
    Object b = Values.asNumber(right);
    if (a instanceof Number x && b instanceof Number y) {
      return arithmetic(op, x, y);
    }
    if (op.equals("+")) {
      return add(left, right);
    } else if (op.equals("*")) {
      return b instanceof Number ? repeat(left, b, left, right) : repeat(right, a, left, right);
    } else if (op.equals("%") && left instanceof String format) {
      return new Formats(budget, text).percent(format, right, false);
    } else if (op.equals("%") && left instanceof Markup format) {
      return new Markup(new Formats(budget, text).percent(format.text(), right, true));
    }
    throw unsupported(op, left, right);
  }

  private Object add(Object left, Object right) {
    if (Values.isText(left) && Values.isText(right)) {
      boolean markup = left instanceof Markup || right instanceof Markup;
      String a = markup ? text.escape(left) : (String) left;
      String b = markup ? text.escape(right) : (String) right;
      budget.chars((long) a.length() + b.length());
      return markup ? new Markup(a + b) : a + b;
    } else if (left instanceof List<?> x && right instanceof List<?> y) {
      return joined(x, y);
    } else if (left instanceof Tuple x && right instanceof Tuple y) {
      return new Tuple(joined(x.list(), y.list()));
    }
    throw unsupported("+", left, right);
  }

  private List<Object> joined(List<?> x, List<?> y) {
    budget.items((long) x.size() + y.size());
    List<Object> all = new ArrayList<>(x.size() + y.size());
    all.addAll(x);
    all.addAll(y);
    return all;
  }

  private Object repeat(Object value, Object count, Object left, Object right) {
    boolean whole = count instanceof Long || count instanceof BigInteger;
    boolean list = value instanceof List || value instanceof Tuple;
    if (!whole || !(list || Values.isText(value))) {
      throw unsupported("*", left, right);
    }
    long times = Math.max(0, Values.toInt(count, "repetition"));
    if (Values.isText(value)) {
      budget.chars(value.toString().length() * times);
      String repeated = value.toString().repeat((int) times);
      return value instanceof Markup ? new Markup(repeated) : repeated;
    }
    List<?> items = value instanceof Tuple tuple ? tuple.list() : (List<?>) value;
    budget.rangeItems(items.size() * times);
    List<Object> all = new ArrayList<>();
    for (long i = 0; i < (items.isEmpty() ? 0 : times); i++) {
      all.addAll(items);
    }
    return value instanceof Tuple ? new Tuple(all) : all;
  }

  private static BigInteger big(Number number) {
    return number instanceof BigInteger big ? big : BigInteger.valueOf(number.longValue());
  }

  private Object arithmetic(String op, Number x, Number y) {
    boolean floats = x instanceof Double || y instanceof Double;
    double b = y.doubleValue();
    if (b == 0 && (op.equals("/") || op.equals("//") || op.equals("%"))) {
      throw Failure.runtime("division by zero");
    }
    if (op.equals("/")) {
      return x.doubleValue() / b;
    }
    return floats ? onFloats(op, x.doubleValue(), b) : onIntegers(op, x, y);
  }

  private static Object onFloats(String op, double a, double b) {
    return switch (op) {
      case "+" -> a + b;
      case "-" -> a - b;
      case "*" -> a * b;
      case "%" -> floorMod(a, b);
      case "//" -> Math.rint((a - floorMod(a, b)) / b);
      default -> floatPower(a, b);
    };
  }

  private static double floorMod(double a, double b) {
    double rest = a % b;
    if (rest == 0) {
      return Math.copySign(0.0, b);
    }
    return rest < 0 == b < 0 ? rest : rest + b;
  }

  private static Object floatPower(double a, double b) {
    if ((a == 0 && b < 0) || (a < 0 && b != Math.rint(b))) {
      throw Failure.runtime("'**' has no real result for %s and %s".formatted(a, b));
    }
    return Math.pow(a, b);
  }

  private Object onIntegers(String op, Number x, Number y) {
    BigInteger a = big(x);
    BigInteger b = big(y);
    BigInteger result =
        switch (op) {
          case "+" -> a.add(b);
          case "-" -> a.subtract(b);
          case "*" -> a.multiply(b);
          case "%" -> {
            BigInteger rest = a.mod(b.abs());
            yield b.signum() < 0 && rest.signum() != 0 ? rest.add(b) : rest;
          }
          case "//" -> {
            BigInteger[] parts = a.divideAndRemainder(b);
            boolean down = parts[1].signum() != 0 && parts[1].signum() != b.signum();
            yield down ? parts[0].subtract(BigInteger.ONE) : parts[0];
          }
          default -> {
            if (b.signum() < 0) {
              yield null;
            }
            checkBits((long) a.bitLength() * Values.toInt(y, "exponent"));
            yield a.pow(Values.toInt(y, "exponent"));
          }
        };
    if (result == null) {
      return floatPower(x.doubleValue(), y.doubleValue());
    }
    checkBits(result.bitLength());
    return Values.number(result);
  }

  private static void checkBits(long bits) {
    if (bits > MAX_INTEGER_BITS) {
      throw new Failure(
          Template.Kind.LIMIT,
          "integer of %d bits, wanted <= %d".formatted(bits, MAX_INTEGER_BITS));
    }
  }

  static Object negate(Object value) {
    Object number = Values.asNumber(value);
    if (number instanceof Double decimal) {
      return -decimal;
    } else if (number instanceof Number whole) {
      return Values.number(big(whole).negate());
    } else if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    throw Failure.runtime("unary '-' wants a number, had " + Values.typeName(value));
  }

  static Object plus(Object value) {
    return negate(negate(value));
  }
}
