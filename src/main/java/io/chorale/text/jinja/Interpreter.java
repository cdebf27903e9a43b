package io.chorale.text.jinja;

import io.chorale.text.jinja.Builtins.Loop;
import io.chorale.text.jinja.Evaluator.Scope;
import io.chorale.text.jinja.Template.Budget;
import io.chorale.text.jinja.Template.Failure;
import io.chorale.text.jinja.Template.Node;
import io.chorale.text.jinja.Values.Args;
import io.chorale.text.jinja.Values.Attributes;
import io.chorale.text.jinja.Values.Callable;
import io.chorale.text.jinja.Values.Namespace;
import io.chorale.text.jinja.Values.Tuple;
import io.chorale.text.jinja.Values.Undefined;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** Carries out statements. One render, one thread. */
final class Interpreter {
  /** How a statement ended. */
  enum Flow {
    NEXT,
    BREAK,
    CONTINUE
  }

  private final Budget budget;
  private final Evaluator evaluator;
  private Scope root;
  private StringBuilder out = new StringBuilder();

  Interpreter(Budget budget, Clock clock) {
    this.budget = budget;
    this.evaluator = new Evaluator(budget, clock);
  }

  String render(List<Node.Stmt> body, Map<String, ?> context) {
    Scope outermost = new Scope(null);
    context.forEach((name, value) -> outermost.put(name, Values.fromJava(value, name, 0)));
    root = new Scope(outermost);
    evaluator.scope = root;
    run(body);
    return out.toString();
  }

  private Flow run(List<Node.Stmt> body) {
    for (Node.Stmt statement : body) {
      Flow flow = exec(statement);
      if (flow != Flow.NEXT) {
        return flow;
      }
    }
    return Flow.NEXT;
  }

  private Flow exec(Node.Stmt statement) {
    budget.step();
    budget.enter();
    try {
      return dispatch(statement);
    } catch (Failure failure) {
      throw failure.at(statement.pos());
    } finally {
      budget.leave();
    }
  }

  private Flow dispatch(Node.Stmt statement) {
    if (statement instanceof Node.Text node) {
      return text(node.text());
    } else if (statement instanceof Node.Print node) {
      return print(node);
    } else if (statement instanceof Node.If node) {
      return choose(node);
    } else if (statement instanceof Node.For node) {
      return loop(node);
    } else if (statement instanceof Node.Set node) {
      return set(node);
    } else if (statement instanceof Node.SetBlock node) {
      return setBlock(node);
    } else if (statement instanceof Node.Macro node) {
      return defineMacro(node);
    } else if (statement instanceof Node.CallBlock node) {
      return callBlock(node);
    } else if (statement instanceof Node.FilterBlock node) {
      return filterBlock(node);
    } else if (statement instanceof Node.With node) {
      return with(node);
    } else if (statement instanceof Node.Scoped node) {
      return scoped(node);
    }
    return ((Node.Leave) statement).flow();
  }

  /** Runs in a new scope inside {@code outer}, then returns to the present scope. */
  private <T> T inScope(Scope outer, Supplier<T> action) {
    Scope before = evaluator.scope;
    evaluator.scope = new Scope(outer);
    try {
      return action.get();
    } finally {
      evaluator.scope = before;
    }
  }

  /** What {@code body} writes, in a new scope inside {@code outer}. */
  private String capture(Scope outer, Runnable body) {
    StringBuilder before = out;
    out = new StringBuilder();
    try {
      return inScope(
          outer,
          () -> {
            body.run();
            return out.toString();
          });
    } finally {
      out = before;
    }
  }

  private void write(String piece) {
    budget.grown((long) out.length() + piece.length(), piece.length());
    out.append(piece);
  }

  private Flow text(String text) {
    write(text);
    return Flow.NEXT;
  }

  private Flow print(Node.Print node) {
    for (Node.Expr value : node.values()) {
      write(evaluator.text.str(budget.printable(evaluator.eval(value))));
    }
    return Flow.NEXT;
  }

  private Flow set(Node.Set node) {
    checkNamespaces(node.target());
    assign(node.target(), evaluator.eval(node.value()));
    return Flow.NEXT;
  }

  private void checkNamespaces(Node.Target target) {
    if (target.parts() != null) {
      target.parts().forEach(this::checkNamespaces);
    } else if (target.attribute() != null
        && !(evaluator.name(target.name()) instanceof Namespace)) {
      throw Failure.runtime(
          "cannot set '%s.%s': '%s' is no namespace()"
              .formatted(target.name(), target.attribute(), target.name()));
    }
  }

  private void assign(Node.Target target, Object value) {
    if (target.parts() == null) {
      if (target.attribute() == null) {
        evaluator.scope.put(target.name(), value);
      } else if (evaluator.name(target.name()) instanceof Namespace namespace) {
        namespace.set(target.attribute(), value);
      }
      return;
    }
    List<Object> values = evaluator.operators.list(value);
    if (values.size() != target.parts().size()) {
      throw Failure.runtime(
              "cannot unpack %d values into %d names"
                  .formatted(values.size(), target.parts().size()))
          .at(target.pos());
    }
    for (int i = 0; i < values.size(); i++) {
      assign(target.parts().get(i), values.get(i));
    }
  }

  private Flow setBlock(Node.SetBlock node) {
    checkNamespaces(node.target());
    Object value = capture(evaluator.scope, () -> run(node.body()));
    assign(node.target(), filtered(node.filter(), value));
    return Flow.NEXT;
  }

  private Object filtered(Node.Expr filter, Object value) {
    if (filter == null) {
      return value;
    }
    evaluator.blockInput = value;
    return evaluator.eval(filter);
  }

  private Flow filterBlock(Node.FilterBlock node) {
    Object value = capture(evaluator.scope, () -> run(node.body()));
    write(evaluator.text.str(filtered(node.filter(), value)));
    return Flow.NEXT;
  }

  private Flow choose(Node.If node) {
    for (int i = 0; i < node.tests().size(); i++) {
      if (Operators.truth(evaluator.eval(node.tests().get(i)))) {
        return run(node.bodies().get(i));
      }
    }
    return run(node.orElse());
  }

  private Flow with(Node.With node) {
    List<Object> values = new ArrayList<>();
    node.values().forEach(value -> values.add(evaluator.eval(value)));
    return inScope(
        evaluator.scope,
        () -> {
          for (int i = 0; i < values.size(); i++) {
            assign(node.targets().get(i), values.get(i));
          }
          return run(node.body());
        });
  }

  private Flow scoped(Node.Scoped node) {
    return inScope(node.fromRoot() ? root : evaluator.scope, () -> run(node.body()));
  }

  private Flow loop(Node.For node) {
    Scope outer = evaluator.scope;
    Object items = evaluator.eval(node.iterable());
    if (node.recursive()) {
      write(capture(outer, () -> iterate(node, items, outer, 0)));
    } else {
      iterate(node, items, outer, 0);
    }
    return Flow.NEXT;
  }

  private void iterate(Node.For node, Object items, Scope outer, int depth) {
    Iterator<Object> iterator = evaluator.operators.iterate(items);
    boolean sized = node.test() == null && Values.hasLength(items);
    Loop loop =
        new Loop(
            evaluator.operators,
            node.test() == null ? iterator : matching(node, iterator, outer),
            sized ? Values.length(items) : -1,
            depth,
            node.recursive()
                ? (inner, level) -> capture(outer, () -> iterate(node, inner, outer, level))
                : null);
    // As in jinja2, else runs unless one iteration ran to its end: break and continue do not count.
    boolean none = true;
    while (loop.advance()) {
      Flow flow =
          inScope(
              outer,
              () -> {
                evaluator.scope.put("loop", loop);
                assign(node.target(), loop.current());
                return run(node.body());
              });
      if (flow == Flow.BREAK) {
        break;
      }
      none &= flow == Flow.CONTINUE;
    }
    if (none) {
      inScope(outer, () -> run(node.orElse()));
    }
  }

  /** The items that pass the loop's test, looked at one by one as the loop asks for them. */
  private Iterator<Object> matching(Node.For node, Iterator<Object> items, Scope outer) {
    return new Iterator<>() {
      private Object found = Values.MISSING;

      @Override
      public boolean hasNext() {
        while (found == Values.MISSING && items.hasNext()) {
          Object item = items.next();
          boolean passes =
              inScope(
                  outer,
                  () -> {
                    assign(node.target(), item);
                    return Operators.truth(evaluator.eval(node.test()));
                  });
          found = passes ? item : Values.MISSING;
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
    };
  }

  private Flow defineMacro(Node.Macro node) {
    evaluator.scope.put(node.macro().name(), new MacroFunction(node.macro(), evaluator.scope));
    return Flow.NEXT;
  }

  private Flow callBlock(Node.CallBlock node) {
    Object callee = evaluator.eval(node.call().callee());
    Args args = evaluator.arguments(node.call().args());
    Map<String, Object> named = new LinkedHashMap<>(args.named());
    named.put("caller", new MacroFunction(node.caller(), evaluator.scope));
    Object result = evaluator.call(callee, new Args("call", args.positional(), named));
    write(evaluator.text.str(result));
    return Flow.NEXT;
  }

  private final class MacroFunction implements Callable, Attributes {
    private final Node.MacroBody macro;
    private final Scope home;

    MacroFunction(Node.MacroBody macro, Scope home) {
      this.macro = macro;
      this.home = home;
    }

    @Override
    public Object call(Args args) {
      return capture(
          home,
          () -> {
            bind(args);
            run(macro.body());
          });
    }

    private void bind(Args args) {
      List<String> parameters = macro.parameters();
      Map<String, Object> named = new LinkedHashMap<>(args.named());
      int given = args.positional().size();
      int firstDefault = parameters.size() - macro.defaults().size();
      for (int i = 0; i < parameters.size(); i++) {
        String parameter = parameters.get(i);
        Object value;
        if (i < given) {
          value = args.positional().get(i);
        } else if (named.containsKey(parameter)) {
          value = named.remove(parameter);
        } else if (i >= firstDefault) {
          value = evaluator.eval(macro.defaults().get(i - firstDefault));
        } else {
          value = new Undefined("parameter '" + parameter + "' was not provided");
        }
        evaluator.scope.put(parameter, value);
      }
      if (macro.usesCaller() && !parameters.contains("caller")) {
        Object caller = named.remove("caller");
        evaluator.scope.put("caller", caller == null ? new Undefined("no caller defined") : caller);
      }
      bindRest(args, named);
    }

    private void bindRest(Args args, Map<String, Object> named) {
      int known = macro.parameters().size();
      int given = args.positional().size();
      if (macro.usesKwargs()) {
        evaluator.scope.put("kwargs", new LinkedHashMap<Object, Object>(named));
      } else if (!named.isEmpty()) {
        throw Failure.runtime(
            "macro '%s' has no parameter '%s'"
                .formatted(macro.name(), named.keySet().iterator().next()));
      }
      if (macro.usesVarargs()) {
        List<Object> rest = args.positional().subList(Math.min(known, given), given);
        evaluator.scope.put("varargs", new Tuple(new ArrayList<>(rest)));
      } else if (given > known) {
        throw Failure.runtime(
            "macro '%s' takes at most %d argument(s), had %d"
                .formatted(macro.name(), known, given));
      }
    }

    @Override
    public Object attribute(String name) {
      return switch (name) {
        case "name" -> macro.name();
        case "arguments" -> new Tuple(new ArrayList<>(macro.parameters()));
        case "catch_kwargs" -> macro.usesKwargs();
        case "catch_varargs" -> macro.usesVarargs();
        case "caller" -> macro.usesCaller();
        default -> Values.MISSING;
      };
    }
  }
}
