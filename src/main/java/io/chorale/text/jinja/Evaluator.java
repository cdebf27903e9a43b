package io.chorale.text.jinja;

import io.chorale.text.jinja.Template.Budget;
import io.chorale.text.jinja.Template.Failure;
import io.chorale.text.jinja.Template.Node;
import io.chorale.text.jinja.Values.Args;
import io.chorale.text.jinja.Values.Callable;
import io.chorale.text.jinja.Values.Sized;
import io.chorale.text.jinja.Values.Tuple;
import io.chorale.text.jinja.Values.Undefined;
import java.time.Clock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Values of expressions in the current scope. One render, one thread. */
final class Evaluator {
  /** Names of one block; looks outwards for what it does not have. */
  static final class Scope {
    private final Scope outer;
    private final Map<String, Object> names = new HashMap<>();

    Scope(Scope outer) {
      this.outer = outer;
    }

    void put(String name, Object value) {
      names.put(name, value);
    }

    Object find(String name) {
      for (Scope scope = this; scope != null; scope = scope.outer) {
        Object value = scope.names.get(name);
        if (value != null || scope.names.containsKey(name)) {
          return value;
        }
      }
      return Values.MISSING;
    }
  }

  /** {@code start:stop:step} inside brackets, evaluated. */
  record SliceValue(Object start, Object stop, Object step) {}

  final Budget budget;
  final PyText text;
  final Operators operators;
  private final Map<String, Object> globals;
  private final Methods methods;
  Scope scope = new Scope(null);

  /** What the filter of a block is applied to. */
  Object blockInput;

  Evaluator(Budget budget, Clock clock) {
    this.budget = budget;
    this.text = new PyText(budget);
    this.operators = new Operators(budget, text);
    this.methods = new Methods(this);
    this.globals = Builtins.globals(this, clock);
  }

  Object eval(Node.Expr expr) {
    budget.step();
    budget.enter();
    try {
      return dispatch(expr);
    } catch (Failure failure) {
      throw failure.at(expr.pos());
    } finally {
      budget.leave();
    }
  }

  private Object dispatch(Node.Expr expr) {
    if (expr instanceof Node.Const node) {
      return node.value();
    } else if (expr instanceof Node.Name node) {
      return name(node.name());
    } else if (expr instanceof Node.GetAttr node) {
      return attribute(eval(node.target()), node.name());
    } else if (expr instanceof Node.GetItem node) {
      Object target = eval(node.target());
      return item(target, eval(node.index()));
    } else if (expr instanceof Node.Filter node) {
      return filter(node, node.input() == null ? blockInput : eval(node.input()));
    } else if (expr instanceof Node.Test node) {
      return test(node);
    } else if (expr instanceof Node.Compare node) {
      return compare(node);
    } else if (expr instanceof Node.Binary node) {
      return binary(node);
    } else if (expr instanceof Node.Logic node) {
      return logic(node);
    } else if (expr instanceof Node.Unary node) {
      return unary(node);
    } else if (expr instanceof Node.Call node) {
      return call(node);
    } else if (expr instanceof Node.Concat node) {
      return concat(node);
    } else if (expr instanceof Node.Choice node) {
      return choice(node);
    } else if (expr instanceof Node.Items node) {
      return items(node);
    } else if (expr instanceof Node.Dict node) {
      return dict(node);
    }
    return slice((Node.Slice) expr);
  }

  Object name(String name) {
    Object value = scope.find(name);
    if (value != Values.MISSING) {
      return value;
    }
    Object global = globals.get(name);
    return global != null ? global : new Undefined("'" + name + "' is undefined");
  }

  private Object items(Node.Items node) {
    List<Object> values = all(node.items());
    return node.tuple() ? new Tuple(values) : values;
  }

  private List<Object> all(List<Node.Expr> exprs) {
    budget.items(exprs.size());
    List<Object> values = new ArrayList<>(exprs.size());
    for (Node.Expr expr : exprs) {
      values.add(eval(expr));
    }
    return values;
  }

  private Object dict(Node.Dict node) {
    budget.items(node.keys().size());
    Map<Object, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < node.keys().size(); i++) {
      Object key = Values.keyIn(map, eval(node.keys().get(i)));
      map.put(key, eval(node.values().get(i)));
    }
    return map;
  }

  private Object unary(Node.Unary node) {
    Object value = eval(node.operand());
    return switch (node.op()) {
      case "not" -> !Operators.truth(value);
      case "-" -> Operators.negate(value);
      default -> Operators.plus(value);
    };
  }

  private Object binary(Node.Binary node) {
    Object left = eval(node.left());
    return operators.binary(node.op(), left, eval(node.right()));
  }

  private Object logic(Node.Logic node) {
    Object left = eval(node.left());
    return Operators.truth(left) == node.and() ? eval(node.right()) : left;
  }

  private Object compare(Node.Compare node) {
    Object left = eval(node.first());
    for (int i = 0; i < node.ops().size(); i++) {
      Object right = eval(node.rest().get(i));
      if (!operators.test(node.ops().get(i), left, right)) {
        return false;
      }
      left = right;
    }
    return true;
  }

  private Object concat(Node.Concat node) {
    StringBuilder joined = new StringBuilder();
    for (Node.Expr part : node.parts()) {
      String piece = text.str(eval(part));
      budget.grown((long) joined.length() + piece.length(), piece.length());
      joined.append(piece);
    }
    return joined.toString();
  }

  private Object choice(Node.Choice node) {
    if (Operators.truth(eval(node.test()))) {
      return eval(node.yes());
    }
    return node.no() == null
        ? new Undefined("the inline if-expression had no else and its condition was false")
        : eval(node.no());
  }

  private Object slice(Node.Slice node) {
    return new SliceValue(optional(node.start()), optional(node.stop()), optional(node.step()));
  }

  private Object optional(Node.Expr expr) {
    return expr == null ? null : eval(expr);
  }

  private Object call(Node.Call node) {
    Object callee = eval(node.callee());
    return call(callee, arguments(node.args()));
  }

  Object call(Object callee, Args args) {
    if (callee instanceof Callable callable) {
      return callable.call(args);
    } else if (callee instanceof Undefined undefined) {
      throw undefined.failure();
    }
    throw Failure.runtime("a " + Values.typeName(callee) + " cannot be called");
  }

  Args arguments(Node.CallArgs node) {
    if (node == Node.CallArgs.NONE) {
      return Args.NONE;
    }
    List<Object> positional = all(node.positional());
    if (node.star() != null) {
      positional.addAll(operators.list(eval(node.star())));
    }
    Map<String, Object> named = new LinkedHashMap<>();
    for (int i = 0; i < node.names().size(); i++) {
      putNamed(named, node.names().get(i), eval(node.named().get(i)));
    }
    if (node.doubleStar() != null) {
      if (!(eval(node.doubleStar()) instanceof Map<?, ?> map)) {
        throw Failure.runtime("'**' wants a dict");
      }
      map.forEach((key, value) -> putNamed(named, String.valueOf(key), value));
    }
    return new Args("call", positional, named);
  }

  private static void putNamed(Map<String, Object> named, String name, Object value) {
    if (named.containsKey(name)) {
      throw Failure.runtime("argument '" + name + "' is given twice");
    }
    named.put(name, value);
  }

  private Object filter(Node.Filter node, Object input) {
    return applyFilter(node.name(), input, arguments(node.args()));
  }

  Object applyFilter(String name, Object input, Args args) {
    return Filters.find(name).apply(this, input, args.as("filter '" + name + "'"));
  }

  private Object test(Node.Test node) {
    Object input = eval(node.input());
    return applyTest(node.name(), input, arguments(node.args()));
  }

  boolean applyTest(String name, Object input, Args args) {
    Builtins.TestFunction test = Builtins.TESTS.get(name);
    if (test == null) {
      throw Failure.runtime("no test named '" + name + "'");
    }
    return test.apply(this, input, args.as("test '" + name + "'"));
  }

  /** {@code value.name}: a method or attribute first, then a dict's key. */
  Object attribute(Object value, String name) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    Object found = methods.find(value, name);
    if (found == Values.MISSING && value instanceof Map<?, ?> map && map.containsKey(name)) {
      return map.get(name);
    }
    return found == Values.MISSING ? missing(value, name) : found;
  }

  private static Undefined missing(Object value, Object name) {
    String what = value == null ? "None" : Values.typeName(value) + " object";
    return new Undefined(
        name instanceof String
            ? "'%s' has no attribute '%s'".formatted(what, name)
            : "%s has no element %s".formatted(what, name));
  }

  /** {@code value[index]}: an item first, then, for a str index, an attribute. */
  Object item(Object value, Object index) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    } else if (index instanceof SliceValue slice) {
      return sliced(value, slice);
    } else if (value instanceof Map<?, ?> map) {
      if (!(index instanceof List || index instanceof Map)) {
        Object key = Values.keyIn(map, index);
        if (map.containsKey(key)) {
          return map.get(key);
        }
      }
    } else if (index instanceof Long || index instanceof Boolean) {
      Object found = element(value, Values.toInt(index, "index"));
      return found == Values.MISSING ? missing(value, index) : found;
    }
    Object found = Values.isText(index) ? methods.find(value, index.toString()) : Values.MISSING;
    return found == Values.MISSING ? missing(value, index) : found;
  }

  private static Object element(Object value, int index) {
    if (Values.isText(value)) {
      String string = value.toString();
      int size = StringMethods.length(string);
      int at = index < 0 ? index + size : index;
      return at < 0 || at >= size ? Values.MISSING : StringMethods.slice(string, at, at + 1);
    }
    List<?> list = asList(value);
    if (list == null) {
      return Values.MISSING;
    }
    int at = index < 0 ? index + list.size() : index;
    return at < 0 || at >= list.size() ? Values.MISSING : list.get(at);
  }

  private static List<?> asList(Object value) {
    if (value instanceof List<?> list) {
      return list;
    }
    return value instanceof Sized sized
            && sized.items() instanceof List<?> list
            && !(value instanceof Values.View)
        ? list
        : null;
  }

  private Object sliced(Object value, SliceValue slice) {
    int step = slice.step() == null ? 1 : Values.toInt(slice.step(), "slice step");
    if (step == 0) {
      throw Failure.runtime("slice step is 0, wanted another number");
    }
    if (Values.isText(value)) {
      String string = value.toString();
      int[] points = step == 1 ? null : string.codePoints().toArray();
      int size = points == null ? StringMethods.length(string) : points.length;
      int start = bound(slice.start(), size, step, true);
      int stop = bound(slice.stop(), size, step, false);
      budget.chars(string.length());
      if (points == null) {
        return StringMethods.slice(string, start, stop);
      }
      StringBuilder picked = new StringBuilder();
      for (long i = start; step > 0 ? i < stop : i > stop; i += step) {
        picked.appendCodePoint(points[(int) i]);
      }
      return picked.toString();
    }
    List<?> list = asList(value);
    if (list == null) {
      throw Failure.runtime("a " + Values.typeName(value) + " cannot be sliced");
    }
    int start = bound(slice.start(), list.size(), step, true);
    int stop = bound(slice.stop(), list.size(), step, false);
    budget.items(list.size());
    List<Object> picked = new ArrayList<>();
    for (long i = start; step > 0 ? i < stop : i > stop; i += step) {
      picked.add(list.get((int) i));
    }
    return value instanceof Tuple ? new Tuple(picked) : picked;
  }

  /** Python's clamping of a slice's start or stop. */
  private static int bound(Object bound, int size, int step, boolean isStart) {
    int low = step > 0 ? 0 : -1;
    int high = step > 0 ? size : size - 1;
    if (bound == null) {
      return isStart == step > 0 ? low : high;
    }
    int at = Values.toInt(bound, "slice bound");
    return Math.max(low, Math.min(high, at < 0 ? at + size : at));
  }
}
