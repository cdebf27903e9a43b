package io.chorale.text.jinja;

import io.chorale.text.jinja.Template.Failure;
import io.chorale.text.jinja.Values.Args;
import io.chorale.text.jinja.Values.Generator;
import io.chorale.text.jinja.Values.Tuple;
import io.chorale.text.jinja.Values.Undefined;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Stream;

/** Filters on lists and dicts. Those that are generators in jinja2 are lazy here too. Stateless. */
final class SequenceFilters {
  private SequenceFilters() {}

  static void register(Map<String, Filters.FilterFunction> all) {
    all.put("batch", SequenceFilters::batch);
    all.put("count", (e, x, a) -> (long) Values.length(x));
    all.put("dictsort", SequenceFilters::dictSort);
    all.put("first", SequenceFilters::first);
    all.put("groupby", SequenceFilters::groupBy);
    all.put("items", SequenceFilters::items);
    all.put("join", SequenceFilters::join);
    all.put("last", SequenceFilters::last);
    all.put("length", all.get("count"));
    all.put("list", (e, x, a) -> e.operators.list(x));
    all.put("map", SequenceFilters::map);
    all.put("max", (e, x, a) -> extreme(e, x, a, -1));
    all.put("min", (e, x, a) -> extreme(e, x, a, 1));
    all.put("reject", (e, x, a) -> select(e, x, a, false, false));
    all.put("rejectattr", (e, x, a) -> select(e, x, a, false, true));
    all.put("reverse", SequenceFilters::reverse);
    all.put("select", (e, x, a) -> select(e, x, a, true, false));
    all.put("selectattr", (e, x, a) -> select(e, x, a, true, true));
    all.put("slice", SequenceFilters::slice);
    all.put("sort", SequenceFilters::sort);
    all.put("sum", SequenceFilters::sum);
    all.put("unique", SequenceFilters::unique);
  }

  /** Looks up "a.b.0"; null looks up nothing. */
  private static Function<Object, Object> getter(Evaluator e, Object path, Object fallback) {
    if (path == null) {
      return item -> item;
    }
    List<Object> parts = new ArrayList<>();
    if (Values.isText(path)) {
      for (Object part : StringMethods.split(path.toString(), ".", -1)) {
        boolean digits = ((String) part).matches("\\d{1,9}");
        parts.add(digits ? (Object) Long.valueOf((String) part) : part);
      }
    } else {
      parts.add(path);
    }
    return item -> {
      Object value = item;
      for (Object part : parts) {
        value = e.item(value, part);
        value = value instanceof Undefined && fallback != null ? fallback : value;
      }
      return value;
    };
  }

  private static Object folded(Object value) {
    return Values.isText(value) ? value.toString().toLowerCase(Locale.ROOT) : value;
  }

  private static Function<Object, Object> key(Evaluator e, Object path, Args args, int caseIndex) {
    boolean exact = Operators.truth(args.get(caseIndex, "case_sensitive", false));
    Function<Object, Object> get = getter(e, path, null);
    return exact ? get : get.andThen(SequenceFilters::folded);
  }

  private static List<Object> sorted(
      Evaluator e, List<Object> items, Function<Object, Object> key, boolean reverse) {
    List<Object[]> keyed = new ArrayList<>(items.size());
    items.forEach(item -> keyed.add(new Object[] {key.apply(item), item}));
    Comparator<Object[]> order = (x, y) -> e.operators.compare(x[0], y[0]);
    try {
      keyed.sort(reverse ? order.reversed() : order);
    } catch (IllegalArgumentException notAnOrder) {
      throw Failure.runtime("sort met values without an order (nan?)");
    }
    List<Object> result = new ArrayList<>(items.size());
    keyed.forEach(pair -> result.add(pair[1]));
    return result;
  }

  private static Object batch(Evaluator e, Object x, Args args) {
    int size = args.expect(1, "linecount", "fill_with").integer(0, "linecount", 0);
    Object fill = args.get(1, "fill_with");
    List<Object> rows = new ArrayList<>();
    List<Object> row = new ArrayList<>();
    for (Object item : e.operators.list(x)) {
      if (row.size() == size) {
        rows.add(row);
        row = new ArrayList<>();
      }
      row.add(item);
    }
    if (!row.isEmpty()) {
      if (fill != null && size > row.size()) {
        e.budget.rangeItems(size);
        row.addAll(Collections.nCopies(size - row.size(), fill));
      }
      rows.add(row);
    }
    return new Generator(rows.iterator());
  }

  private static Object slice(Evaluator e, Object x, Args args) {
    int slices = args.expect(1, "slices", "fill_with").integer(0, "slices", 0);
    Object fill = args.get(1, "fill_with");
    List<Object> items = e.operators.list(x);
    if (slices == 0) {
      throw Failure.runtime("slice wants a number of slices that is not 0");
    }
    e.budget.rangeItems(Math.max(0, slices));
    int size = items.size() / slices;
    int longer = items.size() % slices;
    List<Object> columns = new ArrayList<>();
    int start = 0;
    for (int i = 0; i < slices; i++) {
      int end = start + size + (i < longer ? 1 : 0);
      List<Object> column = new ArrayList<>(items.subList(start, end));
      if (fill != null && i >= longer) {
        column.add(fill);
      }
      columns.add(column);
      start = end;
    }
    return new Generator(columns.iterator());
  }

  private static Map<?, ?> dict(Object x, String who) {
    if (x instanceof Map<?, ?> map) {
      return map;
    } else if (x instanceof Undefined undefined) {
      throw undefined.failure();
    }
    throw Failure.runtime(who + " wants a dict, had " + Values.typeName(x));
  }

  private static List<Object> pairs(Map<?, ?> map) {
    List<Object> pairs = new ArrayList<>();
    map.forEach((key, value) -> pairs.add(Tuple.of(key, value)));
    return pairs;
  }

  private static Object dictSort(Evaluator e, Object x, Args args) {
    args.expect(0, "case_sensitive", "by", "reverse");
    String by = args.text(1, "by", "key");
    if (!by.equals("key") && !by.equals("value")) {
      throw Failure.runtime("dictsort wants by='key' or by='value', had '" + by + "'");
    }
    long position = by.equals("key") ? 0 : 1;
    boolean reverse = args.integer(2, "reverse", 0) != 0;
    return sorted(e, pairs(dict(x, "dictsort")), key(e, position, args, 0), reverse);
  }

  private static Object items(Evaluator e, Object x, Args args) {
    if (x instanceof Undefined) {
      return new Generator(Collections.emptyIterator());
    }
    // A generator: what is no dict fails when it is walked, not before.
    return new Generator(Stream.of(x).flatMap(d -> pairs(dict(d, "items")).stream()).iterator());
  }

  private static Object first(Evaluator e, Object x, Args args) {
    Iterator<Object> items = e.operators.iterate(x);
    return items.hasNext() ? items.next() : new Undefined("no first item, the list was empty");
  }

  private static Object last(Evaluator e, Object x, Args args) {
    if (!Values.hasLength(x)) {
      throw Failure.runtime(
          "last wants a list, had a " + Values.typeName(x) + "; put '|list' before it");
    }
    List<Object> items = e.operators.list(x);
    return items.isEmpty()
        ? new Undefined("no last item, the list was empty")
        : items.get(items.size() - 1);
  }

  private static Object groupBy(Evaluator e, Object x, Args args) {
    args.expect(1, "attribute", "default", "case_sensitive");
    Function<Object, Object> real = getter(e, args.get(0, "attribute"), args.get(1, "default"));
    boolean exact = Operators.truth(args.get(2, "case_sensitive", false));
    Function<Object, Object> key = exact ? real : real.andThen(SequenceFilters::folded);
    List<Object> groups = new ArrayList<>();
    List<Object> group = null;
    Object groupKey = null;
    for (Object item : sorted(e, e.operators.list(x), key, false)) {
      Object itemKey = key.apply(item);
      if (group == null || !e.operators.equal(groupKey, itemKey)) {
        group = new ArrayList<>();
        groupKey = itemKey;
        List<Object> pair = java.util.Arrays.asList(real.apply(item), group);
        groups.add(new Tuple(pair, List.of("grouper", "list")));
      }
      group.add(item);
    }
    return groups;
  }

  private static Object join(Evaluator e, Object x, Args args) {
    String separator = e.text.str(args.expect(0, "d", "attribute").get(0, "d", ""));
    Function<Object, Object> get = getter(e, args.get(1, "attribute"), null);
    Iterator<Object> items = e.operators.iterate(x);
    StringBuilder out = new StringBuilder();
    boolean more = items.hasNext();
    while (more) {
      String piece = e.text.str(get.apply(items.next()));
      more = items.hasNext();
      int added = piece.length() + (more ? separator.length() : 0);
      e.budget.grown((long) out.length() + added, added);
      out.append(piece).append(more ? separator : "");
    }
    return out.toString();
  }

  /** A generator of what {@code each} makes of the items; nothing if the input is false. */
  private static Generator lazy(Evaluator e, Object x, Function<Object, Object> each) {
    if (!Operators.truth(x)) {
      return new Generator(Collections.emptyIterator());
    }
    Iterator<Object> items = e.operators.iterate(x);
    return new Generator(
        new Iterator<>() {
          @Override
          public boolean hasNext() {
            return items.hasNext();
          }

          @Override
          public Object next() {
            return each.apply(items.next());
          }
        });
  }

  private static Generator lazyOnly(Evaluator e, Object x, Predicate<Object> keep) {
    Iterator<Object> items = e.operators.iterate(x);
    return new Generator(
        new Iterator<>() {
          private Object found = Values.MISSING;

          @Override
          public boolean hasNext() {
            while (found == Values.MISSING && items.hasNext()) {
              Object item = items.next();
              found = keep.test(item) ? item : Values.MISSING;
            }
            return found != Values.MISSING;
          }

          @Override
          public Object next() {
            hasNext();
            Object item = found;
            found = Values.MISSING;
            return item;
          }
        });
  }

  private static Object map(Evaluator e, Object x, Args args) {
    if (args.positional().isEmpty()) {
      if (!args.named().containsKey("attribute")) {
        throw Failure.runtime("map wants a filter's name or attribute=");
      }
      Map<String, Object> named = new LinkedHashMap<>(args.named());
      Object path = named.remove("attribute");
      Object fallback = named.remove("default");
      new Args(args.who(), List.of(), named).expect(0);
      return lazy(e, x, getter(e, path, fallback));
    }
    String name = e.text.str(args.positional().get(0));
    Args rest = rest(args, 1);
    return lazy(e, x, item -> e.applyFilter(name, item, rest));
  }

  private static Args rest(Args args, int skip) {
    List<Object> positional = args.positional();
    return new Args(args.who(), positional.subList(skip, positional.size()), args.named());
  }

  private static Object select(
      Evaluator e, Object x, Args args, boolean wanted, boolean byAttribute) {
    int skip = byAttribute ? 1 : 0;
    if (args.positional().size() < skip) {
      throw Failure.runtime(args.who() + " wants an attribute's name");
    }
    Object items = Operators.truth(x) ? x : List.of(); // as in jinja2, what is false has no items
    Function<Object, Object> get =
        byAttribute ? getter(e, args.positional().get(0), null) : item -> item;
    if (args.positional().size() == skip) {
      return lazyOnly(e, items, item -> Operators.truth(get.apply(item)) == wanted);
    }
    String test = e.text.str(args.positional().get(skip));
    Args rest = rest(args, skip + 1);
    return lazyOnly(e, items, item -> e.applyTest(test, get.apply(item), rest) == wanted);
  }

  private static Object extreme(Evaluator e, Object x, Args args, int sign) {
    args.expect(0, "case_sensitive", "attribute");
    Function<Object, Object> key = key(e, args.get(1, "attribute"), args, 0);
    Iterator<Object> items = e.operators.iterate(x);
    if (!items.hasNext()) {
      return new Undefined("no item to choose from, the list was empty");
    }
    Object best = items.next();
    while (items.hasNext()) {
      Object item = items.next();
      if (sign * e.operators.compare(key.apply(item), key.apply(best)) < 0) {
        best = item;
      }
    }
    return best;
  }

  private static Object reverse(Evaluator e, Object x, Args args) {
    if (Values.isText(x)) {
      return new StringBuilder(x.toString()).reverse().toString();
    }
    List<Object> items = e.operators.list(x);
    Collections.reverse(items);
    return Values.hasLength(x) ? new Generator(items.iterator()) : items;
  }

  private static Object sort(Evaluator e, Object x, Args args) {
    args.expect(0, "reverse", "case_sensitive", "attribute");
    Object path = args.get(2, "attribute");
    List<Function<Object, Object>> keys = new ArrayList<>();
    for (Object part :
        Values.isText(path)
            ? StringMethods.split(path.toString(), ",", -1)
            : Collections.singletonList(path)) {
      keys.add(key(e, part, args, 1));
    }
    Function<Object, Object> all =
        item -> {
          List<Object> values = new ArrayList<>();
          keys.forEach(key -> values.add(key.apply(item)));
          return values;
        };
    return sorted(e, e.operators.list(x), all, args.integer(0, "reverse", 0) != 0);
  }

  private static Object sum(Evaluator e, Object x, Args args) {
    args.expect(0, "attribute", "start");
    Function<Object, Object> get = getter(e, args.get(0, "attribute"), null);
    Object total = args.get(1, "start", 0L);
    if (Values.isText(total)) {
      throw Failure.runtime("sum cannot add strs; use join");
    }
    Iterator<Object> items = e.operators.iterate(x);
    while (items.hasNext()) {
      total = e.operators.binary("+", total, get.apply(items.next()));
    }
    return total;
  }

  private static Object unique(Evaluator e, Object x, Args args) {
    args.expect(0, "case_sensitive", "attribute");
    Function<Object, Object> key = key(e, args.get(1, "attribute"), args, 0);
    Map<Object, Object> seen = new HashMap<>();
    return lazyOnly(
        e,
        x,
        item -> {
          Object itemKey = Values.keyIn(seen, key.apply(item));
          return seen.put(itemKey instanceof Undefined ? Values.MISSING : itemKey, true) == null;
        });
  }
}
