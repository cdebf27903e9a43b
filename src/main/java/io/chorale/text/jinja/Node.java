package io.chorale.text.jinja;

import java.util.List;

/** Syntax tree; {@code pos} is an offset into the normalized source. Immutable. */
sealed interface Node {
  int pos();

  /** An expression: has a value. */
  sealed interface Expr extends Node {
    Object eval(Evaluator evaluator);
  }

  /** A statement: writes output, changes the scope or leaves a loop. */
  sealed interface Stmt extends Node {
    Interpreter.Flow exec(Interpreter interpreter);
  }

  record Const(int pos, Object value) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return value;
    }
  }

  record Name(int pos, String name) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.name(name);
    }
  }

  record Items(int pos, boolean tuple, List<Expr> items) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.items(this);
    }
  }

  record Dict(int pos, List<Expr> keys, List<Expr> values) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.dict(this);
    }
  }

  record Unary(int pos, String op, Expr operand) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.unary(this);
    }
  }

  record Binary(int pos, String op, Expr left, Expr right) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.binary(this);
    }
  }

  /** {@code and}, {@code or}. */
  record Logic(int pos, boolean and, Expr left, Expr right) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.logic(this);
    }
  }

  record Compare(int pos, Expr first, List<String> ops, List<Expr> rest) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.compare(this);
    }
  }

  record Concat(int pos, List<Expr> parts) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.concat(this);
    }
  }

  /** {@code yes if test else no}; {@code no} may be null. */
  record Choice(int pos, Expr test, Expr yes, Expr no) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.choice(this);
    }
  }

  record GetAttr(int pos, Expr target, String name) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.attribute(evaluator.eval(target), name);
    }
  }

  record GetItem(int pos, Expr target, Expr index) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.item(evaluator.eval(target), evaluator.eval(index));
    }
  }

  /** {@code start:stop:step} inside brackets; each may be null. */
  record Slice(int pos, Expr start, Expr stop, Expr step) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.slice(this);
    }
  }

  /** Arguments as written; {@code star} and {@code doubleStar} may be null. */
  record CallArgs(
      List<Expr> positional, List<String> names, List<Expr> named, Expr star, Expr doubleStar) {
    static final CallArgs NONE = new CallArgs(List.of(), List.of(), List.of(), null, null);
  }

  record Call(int pos, Expr callee, CallArgs args) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.call(this);
    }
  }

  /** {@code input} is null for the head of a filter block. */
  record Filter(int pos, Expr input, String name, CallArgs args) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.filter(this, evaluator.filterInput(input));
    }
  }

  record Test(int pos, Expr input, String name, CallArgs args) implements Expr {
    @Override
    public Object eval(Evaluator evaluator) {
      return evaluator.test(this);
    }
  }

  record Text(int pos, String text) implements Stmt {
    @Override
    public Interpreter.Flow exec(Interpreter interpreter) {
      return interpreter.text(text);
    }
  }

  record Print(int pos, List<Expr> values) implements Stmt {
    @Override
    public Interpreter.Flow exec(Interpreter interpreter) {
      return interpreter.print(this);
    }
  }

  /** Target of an assignment: a name, a namespace's attribute, or several in a tuple. */
  record Target(int pos, String name, String attribute, List<Target> parts) {}

  record Set(int pos, Target target, Expr value) implements Stmt {
    @Override
    public Interpreter.Flow exec(Interpreter interpreter) {
      return interpreter.set(this);
    }
  }

  record SetBlock(int pos, Target target, Expr filter, List<Stmt> body) implements Stmt {
    @Override
    public Interpreter.Flow exec(Interpreter interpreter) {
      return interpreter.setBlock(this);
    }
  }

  record If(int pos, List<Expr> tests, List<List<Stmt>> bodies, List<Stmt> orElse) implements Stmt {
    @Override
    public Interpreter.Flow exec(Interpreter interpreter) {
      return interpreter.choose(this);
    }
  }

  record For(
      int pos,
      Target target,
      Expr iterable,
      Expr test,
      boolean recursive,
      List<Stmt> body,
      List<Stmt> orElse)
      implements Stmt {
    @Override
    public Interpreter.Flow exec(Interpreter interpreter) {
      return interpreter.loop(this);
    }
  }

  /** Parameters and body; defaults belong to the last parameters. */
  record MacroBody(
      String name,
      List<String> parameters,
      List<Expr> defaults,
      List<Stmt> body,
      boolean usesCaller,
      boolean usesKwargs,
      boolean usesVarargs) {}

  record Macro(int pos, MacroBody macro) implements Stmt {
    @Override
    public Interpreter.Flow exec(Interpreter interpreter) {
      return interpreter.defineMacro(this);
    }
  }

  record CallBlock(int pos, Call call, MacroBody caller) implements Stmt {
    @Override
    public Interpreter.Flow exec(Interpreter interpreter) {
      return interpreter.callBlock(this);
    }
  }

  record FilterBlock(int pos, Expr filter, List<Stmt> body) implements Stmt {
    @Override
    public Interpreter.Flow exec(Interpreter interpreter) {
      return interpreter.filterBlock(this);
    }
  }

  record With(int pos, List<Target> targets, List<Expr> values, List<Stmt> body) implements Stmt {
    @Override
    public Interpreter.Flow exec(Interpreter interpreter) {
      return interpreter.with(this);
    }
  }

  /** {@code generation} (a scope of its own) or a {@code block} (which sees the root's scope). */
  record Scoped(int pos, boolean fromRoot, List<Stmt> body) implements Stmt {
    @Override
    public Interpreter.Flow exec(Interpreter interpreter) {
      return interpreter.scoped(this);
    }
  }

  record Leave(int pos, Interpreter.Flow flow) implements Stmt {
    @Override
    public Interpreter.Flow exec(Interpreter interpreter) {
      return flow;
    }
  }
}
