package io.chorale.text.jinja;

import io.chorale.text.jinja.Template.Failure;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Python's values as Java sees them. None is null, int is Long or (beyond 64 bits) BigInteger,
 * float is Double, bool is Boolean, str is String or {@link Markup}, list is List, dict is a Map in
 * insertion order; the rest is here.
 */
final class Values {
  /** Stands for "no such attribute" where null would mean None. */
  static final Object MISSING = new Object();

  private static final int MAX_CONTEXT_DEPTH = 200;

  private Values() {}

  /** A name or attribute that was not there; prints as nothing, fails when used. */
  record Undefined(String hint) {
    Failure failure() {
      return Failure.runtime(hint);
    }
  }

  /** A tuple, a range, or a dict's view: has a length and an order. */
  sealed interface Sized {
    Collection<Object> items();
  }

  /** A tuple; {@code names} are the attributes of a named tuple, or empty. */
  record Tuple(List<Object> list, List<String> names) implements Sized {
    Tuple(List<Object> list) {
      this(list, List.of());
    }

    static Tuple of(Object... items) {
      return new Tuple(java.util.Arrays.asList(items));
    }

    @Override
    public List<Object> items() {
      return list;
    }
  }

  /** Python's range: computed, never stored. */
  record Range(long start, long stop, long step) implements Sized {
    long size() {
      long span = step > 0 ? stop - start : start - stop;
      long stride = Math.abs(step);
      return span <= 0 ? 0 : (span - 1) / stride + 1;
    }

    @Override
    public List<Object> items() {
      int size = (int) size();
      return new AbstractList<>() {
        @Override
        public Object get(int index) {
          return start + index * step;
        }

        @Override
        public int size() {
          return size;
        }
      };
    }
  }

  /** {@code dict.keys()}, {@code .values()} or {@code .items()}. */
  record View(String kind, Map<Object, Object> dict) implements Sized {
    @Override
    public Collection<Object> items() {
      return switch (kind) {
        case "keys" -> dict.keySet();
        case "values" -> dict.values();
        default -> {
          List<Object> pairs = new ArrayList<>(dict.size());
          dict.forEach((key, value) -> pairs.add(Tuple.of(key, value)));
          yield pairs;
        }
      };
    }
  }

  /** A generator: can be walked once, is true, has no length. */
  record Generator(Iterator<Object> iterator) {}

  /** A str that was marked safe; operations with it escape their other operands. */
  record Markup(String text) {
    @Override
    public String toString() {
      return text;
    }
  }

  /** Something with attributes of its own. */
  interface Attributes {
    /** The value, or {@link #MISSING}. */
    Object attribute(String name);
  }

  /** The one value that a template may change. */
  record Namespace(Map<Object, Object> fields) implements Attributes {
    @Override
    public Object attribute(String name) {
      return fields.getOrDefault(name, MISSING);
    }

    void set(String name, Object value) {
      checkName(name);
      fields.put(name, value);
    }

    static void checkName(Object name) {
      if (name instanceof String text && text.startsWith("_")) {
        throw Failure.runtime(
            "namespace attribute '%s' starts with an underscore; rename it".formatted(text));
      }
    }
  }

  /** Something that can be called. */
  interface Callable {
    Object call(Args args);
  }

  /** A function or bound method with a name for messages. */
  record Function(String name, Callable body) implements Callable {
    @Override
    public Object call(Args args) {
      return body.call(args);
    }
  }

  /** Arguments of a call; {@code who} is the callee's name for messages. */
  record Args(String who, List<Object> positional, Map<String, Object> named) {
    static final Args NONE = new Args("call", List.of(), Map.of());

    Args as(String name) {
      return new Args(name, positional, named);
    }

    /** Checks that only these parameters were given; {@code required} of them must be. */
    Args expect(int required, String... names) {
      if (positional.size() > names.length) {
        throw Failure.runtime(
            "%s takes at most %d argument(s), had %d"
                .formatted(who, names.length, positional.size()));
      }
      for (String name : named.keySet()) {
        int index = List.of(names).indexOf(name);
        if (index < 0 || index < positional.size()) {
          throw Failure.runtime(
              "%s got %s argument '%s'"
                  .formatted(who, index < 0 ? "an unknown" : "two values for", name));
        }
      }
      for (int i = positional.size(); i < required; i++) {
        if (!named.containsKey(names[i])) {
          throw Failure.runtime("%s wants an argument '%s'".formatted(who, names[i]));
        }
      }
      return this;
    }

    boolean has(int index, String name) {
      return index < positional.size() || named.containsKey(name);
    }

    Object get(int index, String name, Object fallback) {
      if (index < positional.size()) {
        return positional.get(index);
      }
      return named.containsKey(name) ? named.get(name) : fallback;
    }

    Object get(int index, String name) {
      return get(index, name, null);
    }

    /** A str argument that must be there. */
    String text(int index, String name) {
      String text = text(index, name, null);
      if (text == null) {
        throw Failure.runtime("%s wants a str as '%s', had NoneType".formatted(who, name));
      }
      return text;
    }

    /** A str argument, or the fallback if absent; Markup counts. A null fallback allows None. */
    String text(int index, String name, String fallback) {
      Object value = get(index, name, fallback);
      if (value == null && fallback == null) {
        return null;
      }
      if (value instanceof String text) {
        return text;
      }
      if (value instanceof Markup markup) {
        return markup.text();
      }
      throw Failure.runtime("%s wants a str as '%s', had %s".formatted(who, name, typeName(value)));
    }

    /** An int argument clamped to Java's int. */
    int integer(int index, String name, int fallback) {
      Object value = get(index, name, (long) fallback);
      return Values.toInt(value, who + " argument '" + name + "'");
    }
  }

  /** An int as a Java int, clamped; bool counts as int. */
  static int toInt(Object value, String what) {
    if (value instanceof Boolean bool) {
      return bool ? 1 : 0;
    }
    if (value instanceof Long number) {
      return (int) Math.max(Integer.MIN_VALUE, Math.min(Integer.MAX_VALUE, number));
    }
    if (value instanceof BigInteger big) {
      return big.signum() < 0 ? Integer.MIN_VALUE : Integer.MAX_VALUE;
    }
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    throw Failure.runtime("%s wants an int, had %s".formatted(what, typeName(value)));
  }

  static boolean isText(Object value) {
    return value instanceof String || value instanceof Markup;
  }

  /** Python's name of the type, for messages. */
  static String typeName(Object value) {
    if (value == null) {
      return "NoneType";
    } else if (isText(value)) {
      return "str";
    } else if (value instanceof Boolean) {
      return "bool";
    } else if (value instanceof Long || value instanceof BigInteger) {
      return "int";
    } else if (value instanceof Double) {
      return "float";
    } else if (value instanceof List) {
      return "list";
    } else if (value instanceof Map) {
      return "dict";
    } else if (value instanceof View view) {
      return "dict_" + view.kind();
    }
    return value.getClass().getSimpleName().toLowerCase(java.util.Locale.ROOT);
  }

  static Object number(BigInteger value) {
    return value.bitLength() < Long.SIZE ? (Object) value.longValue() : value;
  }

  /** Copies a caller's value into the template's world. */
  static Object fromJava(Object value, String where, int depth) {
    if (depth > MAX_CONTEXT_DEPTH) {
      throw Failure.runtime(where + " is nested deeper than " + MAX_CONTEXT_DEPTH);
    }
    if (value == null || value instanceof String || value instanceof Boolean) {
      return value;
    } else if (value instanceof BigInteger big) {
      return number(big);
    } else if (value instanceof Double || value instanceof Float || value instanceof BigDecimal) {
      return ((Number) value).doubleValue();
    } else if (value instanceof Number number) {
      return number.longValue();
    } else if (value instanceof Map<?, ?> map) {
      Map<Object, Object> copy = new LinkedHashMap<>();
      map.forEach(
          (key, item) -> {
            if (!(key instanceof String)) {
              throw Failure.runtime(where + " has a key that is no string: " + key);
            }
            copy.put(key, fromJava(item, where, depth + 1));
          });
      return copy;
    } else if (value instanceof Collection<?> items) {
      List<Object> copy = new ArrayList<>(items.size());
      items.forEach(item -> copy.add(fromJava(item, where, depth + 1)));
      return copy;
    }
    throw Failure.runtime(
        "%s holds a %s; wanted Map, List, String, Number, Boolean or null"
            .formatted(where, value.getClass().getName()));
  }

  /** {@code len()}. */
  static int length(Object value) {
    if (isText(value)) {
      return StringMethods.length(value.toString());
    } else if (value instanceof Collection<?> items) {
      return items.size();
    } else if (value instanceof Map<?, ?> map) {
      return map.size();
    } else if (value instanceof Sized sized) {
      return sized.items().size();
    } else if (value instanceof Undefined) {
      return 0;
    }
    throw Failure.runtime("a " + typeName(value) + " has no length");
  }

  static boolean hasLength(Object value) {
    return isText(value)
        || value instanceof Collection
        || value instanceof Map
        || value instanceof Sized
        || value instanceof Undefined;
  }

  static boolean isIterable(Object value) {
    return hasLength(value) || value instanceof Generator || value instanceof Iterator;
  }

  /** A value as a dict's key: lists and dicts are refused. */
  static Object key(Object value) {
    if (value instanceof List || value instanceof Map) {
      throw Failure.runtime("a " + typeName(value) + " cannot be a dict's key");
    }
    if (value instanceof Tuple tuple) {
      tuple.list().forEach(Values::key);
    }
    return value instanceof Markup markup ? markup.text() : value;
  }

  /** The key of {@code map} that equals {@code value} ({@code 1 == 1.0 == true}), or the value. */
  static Object keyIn(Map<?, ?> map, Object value) {
    Object key = key(value);
    if ((key instanceof Number || key instanceof Boolean) && !map.containsKey(key)) {
      double number = ((Number) asNumber(key)).doubleValue();
      for (Object same : new Object[] {(long) number, number, number == 1}) {
        boolean equal = ((Number) asNumber(same)).doubleValue() == number;
        if (equal && map.containsKey(same)) {
          return same;
        }
      }
    }
    return key;
  }

  static Object asNumber(Object value) {
    return value instanceof Boolean bool ? (Object) (bool ? 1L : 0L) : value;
  }
}
