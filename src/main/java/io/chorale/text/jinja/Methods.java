package io.chorale.text.jinja;

import io.chorale.text.jinja.Template.Budget;
import io.chorale.text.jinja.Template.Failure;
import io.chorale.text.jinja.Values.Args;
import io.chorale.text.jinja.Values.Attributes;
import io.chorale.text.jinja.Values.Callable;
import io.chorale.text.jinja.Values.Function;
import io.chorale.text.jinja.Values.Markup;
import io.chorale.text.jinja.Values.Range;
import io.chorale.text.jinja.Values.Tuple;
import io.chorale.text.jinja.Values.Undefined;
import io.chorale.text.jinja.Values.View;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * Attributes and methods of values. What would change a list or dict is refused, as in jinja2's
 * immutable sandbox. One render, one thread.
 */
final class Methods {
  private static final Set<String> DICT_CHANGES =
      Set.of("clear", "pop", "popitem", "setdefault", "update");
  private static final Set<String> LIST_CHANGES =
      Set.of("append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove");
  private static final Set<String> MARKUP_KEEPS =
      Set.of(
          "strip", "lstrip", "rstrip", "upper", "lower", "title", "capitalize", "replace", "join");
  private final Evaluator evaluator;
  private final Budget budget;

  Methods(Evaluator evaluator) {
    this.evaluator = evaluator;
    this.budget = evaluator.budget;
  }

  /** The attribute, or {@link Values#MISSING}. */
  Object find(Object value, String name) {
    if (name.startsWith("__")) {
      return value instanceof Map<?, ?> map && map.containsKey(name)
          ? Values.MISSING
          : unsafe(value, name);
    } else if (value instanceof Attributes holder) {
      return holder.attribute(name);
    } else if (Values.isText(value)) {
      Callable method = onText(value.toString(), name);
      if (method != null && value instanceof Markup && MARKUP_KEEPS.contains(name)) {
        return new Function(name, args -> new Markup((String) method.call(escaped(args))));
      }
      return bound(name, method);
    } else if (value instanceof Map<?, ?> map) {
      return DICT_CHANGES.contains(name) ? unsafe(value, name) : bound(name, onDict(map, name));
    } else if (value instanceof List<?> list) {
      return LIST_CHANGES.contains(name) ? unsafe(value, name) : bound(name, onList(list, name));
    } else if (value instanceof Tuple tuple) {
      int index = tuple.names().indexOf(name);
      boolean search = name.equals("index") || name.equals("count");
      Callable method = search ? onList(tuple.list(), name) : null;
      return index >= 0 ? tuple.list().get(index) : bound(name, method);
    } else if (value instanceof Range range) {
      return switch (name) {
        case "start" -> range.start();
        case "stop" -> range.stop();
        case "step" -> range.step();
        default -> Values.MISSING;
      };
    } else if (value instanceof Double number && name.equals("is_integer")) {
      return bound(name, args -> Double.isFinite(number) && number == Math.rint(number));
    }
    return Values.MISSING;
  }

  private static Undefined unsafe(Object value, String name) {
    return new Undefined(
        "'%s' of a %s is refused: a template may not change or inspect it"
            .formatted(name, Values.typeName(value)));
  }

  private static Object bound(String name, Callable method) {
    return method == null
        ? Values.MISSING
        : new Function(name, args -> method.call(args.as(name + "()")));
  }

  private Args escaped(Args args) {
    List<Object> positional = new ArrayList<>();
    for (Object item : args.positional()) {
      if (item instanceof List<?> list) {
        List<Object> texts = new ArrayList<>();
        list.forEach(part -> texts.add(evaluator.text.escape(part)));
        positional.add(texts);
      } else {
        positional.add(item instanceof String ? evaluator.text.escape(item) : item);
      }
    }
    return new Args(args.who(), positional, args.named());
  }

  private static Callable onDict(Map<?, ?> map, String name) {
    @SuppressWarnings("unchecked")
    Map<Object, Object> dict = (Map<Object, Object>) map;
    return switch (name) {
      case "keys", "values", "items" -> args -> new View(name, dict);
      case "copy" -> args -> new LinkedHashMap<>(dict);
      case "get" ->
          args -> {
            Object key = Values.keyIn(dict, args.expect(1, "key", "default").get(0, "key"));
            return dict.containsKey(key) ? dict.get(key) : args.get(1, "default");
          };
      default -> null;
    };
  }

  private Callable onList(List<?> list, String name) {
    return switch (name) {
      case "copy" -> args -> new ArrayList<Object>(list);
      case "count" ->
          args -> {
            Object wanted = args.expect(1, "value").get(0, "value");
            return list.stream().filter(item -> evaluator.operators.equal(item, wanted)).count();
          };
      case "index" ->
          args -> {
            Object wanted = args.expect(1, "value").get(0, "value");
            for (int i = 0; i < list.size(); i++) {
              if (evaluator.operators.equal(list.get(i), wanted)) {
                return (long) i;
              }
            }
            throw Failure.runtime("index(): the value is not in the list");
          };
      default -> null;
    };
  }

  private Callable onText(String s, String name) {
    return switch (name) {
      case "strip" -> args -> strip(s, args, true, true);
      case "lstrip" -> args -> strip(s, args, true, false);
      case "rstrip" -> args -> strip(s, args, false, true);
      case "split" -> args -> split(args, (sep, max) -> StringMethods.split(s, sep, max));
      case "rsplit" -> args -> split(args, (sep, max) -> StringMethods.rsplit(s, sep, max));
      case "splitlines" ->
          args ->
              StringMethods.splitLines(
                  s, Operators.truth(args.expect(0, "keepends").get(0, "keepends")));
      case "partition", "rpartition" ->
          args ->
              new Tuple(
                  StringMethods.partition(
                      s, args.expect(1, "sep").text(0, "sep"), name.startsWith("r")));
      case "startswith", "endswith" -> args -> affix(s, args, name.equals("startswith"));
      case "removeprefix", "removesuffix" -> args -> without(s, args, name.endsWith("prefix"));
      case "replace" -> args -> replace(s, args);
      case "join" -> args -> join(s, args);
      case "find", "rfind", "index", "rindex", "count" -> args -> search(s, name, args);
      case "format", "format_map" -> args -> format(s, name, args);
      case "center" ->
          args -> StringMethods.center(s, width(args), args.text(1, "fillchar", " "), budget);
      case "ljust" ->
          args -> StringMethods.pad(s, width(args), args.text(1, "fillchar", " "), '<', budget);
      case "rjust" ->
          args -> StringMethods.pad(s, width(args), args.text(1, "fillchar", " "), '>', budget);
      case "zfill" -> args -> StringMethods.zfill(s, width(args), budget);
      case "expandtabs" ->
          args ->
              StringMethods.expandTabs(
                  s, args.expect(0, "tabsize").integer(0, "tabsize", 8), budget);
      case "encode", "translate", "maketrans" ->
          args -> {
            throw Failure.runtime(name + "() is refused: a prompt has no use for it");
          };
      default -> unary(s, name);
    };
  }

  /** Methods without arguments. */
  private Callable unary(String s, String name) {
    java.util.function.Supplier<Object> result =
        switch (name) {
          case "upper" -> () -> s.toUpperCase(Locale.ROOT);
          case "lower" -> () -> s.toLowerCase(Locale.ROOT);
          case "casefold" -> () -> s.toUpperCase(Locale.ROOT).toLowerCase(Locale.ROOT);
          case "title" -> () -> StringMethods.title(s);
          case "capitalize" -> () -> StringMethods.capitalize(s);
          case "swapcase" -> () -> StringMethods.swapCase(s);
          case "isalnum",
              "isalpha",
              "isascii",
              "isdecimal",
              "isdigit",
              "isidentifier",
              "islower",
              "isnumeric",
              "isprintable",
              "isspace",
              "istitle",
              "isupper" ->
              () -> StringMethods.is(name, s);
          default -> null;
        };
    return result == null
        ? null
        : args -> {
          args.expect(0);
          budget.chars(s.length());
          return result.get();
        };
  }

  private Object strip(String s, Args args, boolean left, boolean right) {
    return StringMethods.strip(s, args.expect(0, "chars").text(0, "chars", null), left, right);
  }

  private int width(Args args) {
    return args.expect(1, "width", "fillchar").integer(0, "width", 0);
  }

  private List<Object> split(
      Args args, java.util.function.BiFunction<String, Integer, List<Object>> splitter) {
    args.expect(0, "sep", "maxsplit");
    List<Object> parts = splitter.apply(args.text(0, "sep", null), args.integer(1, "maxsplit", -1));
    budget.items(parts.size());
    return parts;
  }

  private Object affix(String s, Args args, boolean start) {
    args.expect(1, "prefix", "start", "end");
    String part = window(s, args);
    Object wanted = args.get(0, "prefix");
    List<?> options =
        wanted instanceof Tuple tuple ? tuple.list() : java.util.Arrays.asList(wanted);
    for (Object option : options) {
      if (!Values.isText(option)) {
        throw Failure.runtime(
            "%s wants a str or a tuple of str, had %s"
                .formatted(args.who(), Values.typeName(option)));
      }
      String affix = option.toString();
      if (part != null && (start ? part.startsWith(affix) : part.endsWith(affix))) {
        return true;
      }
    }
    return false;
  }

  /** The part between the optional start and end arguments; null if start lies behind the text. */
  private static String window(String s, Args args) {
    if (!args.has(1, "start")) {
      return s;
    }
    int size = StringMethods.length(s);
    int[] range = bounds(args, size);
    return range[0] > size || range[0] > range[1]
        ? null
        : StringMethods.slice(s, range[0], range[1]);
  }

  private static int[] bounds(Args args, int size) {
    Object startArg = args.get(1, "start");
    Object endArg = args.get(2, "end");
    int start = startArg == null ? 0 : Values.toInt(startArg, args.who());
    int end = endArg == null ? size : Values.toInt(endArg, args.who());
    start = start < 0 ? Math.max(0, start + size) : start;
    end = end < 0 ? Math.max(0, end + size) : Math.min(end, size);
    return new int[] {start, end};
  }

  private static Object without(String s, Args args, boolean prefix) {
    String affix = args.expect(1, "affix").text(0, "affix");
    if (prefix) {
      return s.startsWith(affix) ? s.substring(affix.length()) : s;
    }
    return s.endsWith(affix) ? s.substring(0, s.length() - affix.length()) : s;
  }

  private Object replace(String s, Args args) {
    args.expect(2, "old", "new", "count");
    String old = args.text(0, "old", "");
    return StringMethods.replace(
        s, old, args.text(1, "new", ""), args.integer(2, "count", -1), budget);
  }

  private Object join(String s, Args args) {
    List<Object> items = evaluator.operators.list(args.expect(1, "iterable").get(0, "iterable"));
    StringBuilder joined = new StringBuilder();
    for (int i = 0; i < items.size(); i++) {
      if (!Values.isText(items.get(i))) {
        throw Failure.runtime(
            "join() wants str items, had %s at %d".formatted(Values.typeName(items.get(i)), i));
      }
      int before = joined.length();
      joined.append(i == 0 ? "" : s).append(items.get(i));
      budget.grown(joined.length(), joined.length() - before);
    }
    return joined.toString();
  }

  private Object search(String s, String name, Args args) {
    args.expect(1, "sub", "start", "end");
    String sub = args.text(0, "sub", "");
    String part = window(s, args);
    boolean counts = name.equals("count");
    if (counts) {
      return part == null ? 0L : (long) StringMethods.count(part, sub);
    }
    int at = part == null ? -1 : name.startsWith("r") ? part.lastIndexOf(sub) : part.indexOf(sub);
    if (at >= 0) {
      int offset = args.has(1, "start") ? bounds(args, StringMethods.length(s))[0] : 0;
      return (long) offset + part.codePointCount(0, at);
    } else if (name.endsWith("index")) {
      throw Failure.runtime(name + "(): '" + sub + "' is not in the str");
    }
    return -1L;
  }

  private Object format(String s, String name, Args args) {
    Args values = args;
    if (name.equals("format_map")) {
      if (!(args.expect(1, "mapping").get(0, "mapping") instanceof Map<?, ?> map)) {
        throw Failure.runtime("format_map() wants a dict");
      }
      Map<String, Object> named = new LinkedHashMap<>();
      map.forEach((key, value) -> named.put(String.valueOf(key), value));
      values = new Args(args.who(), List.of(), named);
    }
    return new Formats(budget, evaluator.text).format(s, values, evaluator);
  }
}
