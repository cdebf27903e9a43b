package io.chorale.text.jinja;

import java.time.Clock;
import java.util.List;
import java.util.Map;

/**
 * A parsed Jinja template: the language of jinja2 3.1's immutable sandbox with {@code trim_blocks},
 * {@code lstrip_blocks}, loop controls and a transparent {@code generation} tag, as transformers
 * renders chat templates.
 *
 * <p>Immutable after {@link #parse}; any thread, any number of renders at once. Values are plain
 * Java (Map with String keys, List, String, Number, Boolean, null); they are copied at the door, so
 * a template cannot change its caller's data.
 */
public final class Template {
  private final String source;
  private final List<Node.Stmt> body;

  private Template(String source, List<Node.Stmt> body) {
    this.source = source;
    this.body = body;
  }

  /**
   * @throws Failure with kind SYNTAX if the text is not a template, or uses a tag that is refused
   */
  public static Template parse(String text) {
    String source = Lexer.normalize(text);
    try {
      return new Template(source, new Parser(new Lexer(source).tokens()).template());
    } catch (Failure failure) {
      throw failure.inSource(source);
    } catch (StackOverflowError error) {
      throw new Failure(Kind.SYNTAX, "template is nested too deeply to parse");
    }
  }

  /**
   * @throws Failure with kind RAISED for raise_exception(), LIMIT if a limit of {@code limits} was
   *     met, RUNTIME for everything that raises in Python
   */
  public String render(Map<String, ?> context, Clock clock, Limits limits) {
    return render(context, clock, new Budget(limits, false));
  }

  /** As {@link #render}, but printing a name or attribute that is not there fails. */
  public String renderStrict(Map<String, ?> context, Clock clock, Limits limits) {
    return render(context, clock, new Budget(limits, true));
  }

  private String render(Map<String, ?> context, Clock clock, Budget budget) {
    try {
      return new Interpreter(budget, clock).render(body, context);
    } catch (Failure failure) {
      throw failure.inSource(source);
    } catch (StackOverflowError error) {
      throw new Failure(Kind.LIMIT, "template recursed deeper than the thread's stack allows");
    } catch (ClassCastException | IndexOutOfBoundsException | NullPointerException fault) {
      // A gap in our own checks: the template still only fails, it does not take its request down.
      throw new Failure(Kind.RUNTIME, "template met a fault in its interpreter: " + fault);
    }
  }

  /** Why a template failed. */
  public enum Kind {
    SYNTAX,
    RUNTIME,
    LIMIT,
    RAISED
  }

  /** Failure of a template; the message ends with {@code at line:column} where that is known. */
  public static final class Failure extends RuntimeException {
    private static final long serialVersionUID = 1L;
    private final Kind kind;
    private int offset = -1;
    private String source;

    Failure(Kind kind, String message) {
      super(message, null, false, false);
      this.kind = kind;
    }

    static Failure runtime(String message) {
      return new Failure(Kind.RUNTIME, message);
    }

    static Failure syntax(String message, int offset) {
      return new Failure(Kind.SYNTAX, message).at(offset);
    }

    /** Keeps the first, innermost place. */
    Failure at(int place) {
      if (offset < 0) {
        offset = place;
      }
      return this;
    }

    private Failure inSource(String text) {
      if (source == null) {
        source = text;
      }
      return this;
    }

    public Kind kind() {
      return kind;
    }

    /** The message without its place: for RAISED the template's own words. */
    public String words() {
      return super.getMessage();
    }

    @Override
    public String getMessage() {
      if (source == null || offset < 0) {
        return words();
      }
      int end = Math.min(offset, source.length());
      int lineStart = source.lastIndexOf('\n', end - 1) + 1;
      long line = 1 + source.substring(0, lineStart).chars().filter(c -> c == '\n').count();
      return words() + " at " + line + ":" + (1 + source.codePointCount(lineStart, end));
    }
  }

  /**
   * Bounds of one render; a template that meets one fails with kind LIMIT.
   *
   * @param millis wall-clock time
   * @param outputChars UTF-16 units of output; also the largest single string
   * @param depth nested evaluations (an expression in a statement in a macro ...)
   * @param rangeItems longest range() and longest repeated list; jinja2 says 100,000
   */
  public record Limits(int millis, int outputChars, int depth, int rangeItems) {
    public static final Limits DEFAULT = new Limits(2_000, 4_000_000, 800, 100_000);

    public Limits {
      if (millis < 0 || outputChars < 1 || depth < 1 || rangeItems < 1) {
        throw new IllegalArgumentException(
            "limits: millis %d, outputChars %d, depth %d, rangeItems %d; wanted positive"
                .formatted(millis, outputChars, depth, rangeItems));
      }
    }
  }

  /** What one render has used so far. One thread. */
  static final class Budget {
    /** A render may make this many times its output limit in intermediate strings and lists. */
    private static final int ALLOCATION_FACTOR = 64;

    private static final int STEPS_PER_CLOCK_READ = 256;
    private final Limits limits;
    private final boolean strict;
    private final long startNanos = System.nanoTime();
    private int steps;
    private int depth;
    private long allocated;

    Budget(Limits limits, boolean strict) {
      this.limits = limits;
      this.strict = strict;
    }

    /** The value, unless it is nothing and that may not be printed. */
    Object printable(Object value) {
      if (strict && value instanceof Values.Undefined undefined) {
        throw undefined.failure();
      }
      return value;
    }

    void step() {
      if (++steps % STEPS_PER_CLOCK_READ == 0) {
        checkTime();
      }
    }

    private void checkTime() {
      if (System.nanoTime() - startNanos >= limits.millis() * 1_000_000L) {
        throw new Failure(
            Kind.LIMIT,
            "template ran longer than %d ms; simplify it or shorten the conversation"
                .formatted(limits.millis()));
      }
    }

    void enter() {
      if (++depth > limits.depth()) {
        throw new Failure(
            Kind.LIMIT, "template nested deeper than %d evaluations".formatted(limits.depth()));
      }
    }

    void leave() {
      depth--;
    }

    /** Asks leave to make a string of so many chars. */
    void chars(long count) {
      if (count > limits.outputChars()) {
        throw new Failure(
            Kind.LIMIT,
            "template made a string of %d chars, wanted <= %d"
                .formatted(count, limits.outputChars()));
      }
      allocate(count);
    }

    /** Asks leave to add so many chars to a string that is then {@code total} long. */
    void grown(long total, long added) {
      if (total > limits.outputChars()) {
        chars(total);
      }
      allocate(added);
    }

    /** Asks leave to make a list of so many items. */
    void items(long count) {
      allocate(4 * count);
    }

    void rangeItems(long count) {
      if (count > limits.rangeItems()) {
        throw new Failure(
            Kind.LIMIT,
            "template made a sequence of %d items, wanted <= %d"
                .formatted(count, limits.rangeItems()));
      }
      items(count);
    }

    private void allocate(long units) {
      allocated += units;
      step();
      if (allocated > (long) ALLOCATION_FACTOR * limits.outputChars()) {
        throw new Failure(
            Kind.LIMIT,
            "template made more than %d chars of intermediate values"
                .formatted((long) ALLOCATION_FACTOR * limits.outputChars()));
      }
    }
  }

  /** Syntax tree; {@code pos} is an offset into the normalized source. Immutable. */
  sealed interface Node {
    int pos();

    /** An expression: has a value. */
    sealed interface Expr extends Node {}

    /** A statement: writes output, changes the scope or leaves a loop. */
    sealed interface Stmt extends Node {}

    record Const(int pos, Object value) implements Expr {}

    record Name(int pos, String name) implements Expr {}

    record Items(int pos, boolean tuple, List<Expr> items) implements Expr {}

    record Dict(int pos, List<Expr> keys, List<Expr> values) implements Expr {}

    record Unary(int pos, String op, Expr operand) implements Expr {}

    record Binary(int pos, String op, Expr left, Expr right) implements Expr {}

    /** {@code and}, {@code or}. */
    record Logic(int pos, boolean and, Expr left, Expr right) implements Expr {}

    record Compare(int pos, Expr first, List<String> ops, List<Expr> rest) implements Expr {}

    record Concat(int pos, List<Expr> parts) implements Expr {}

    /** {@code yes if test else no}; {@code no} may be null. */
    record Choice(int pos, Expr test, Expr yes, Expr no) implements Expr {}

    record GetAttr(int pos, Expr target, String name) implements Expr {}

    record GetItem(int pos, Expr target, Expr index) implements Expr {}

    /** {@code start:stop:step} inside brackets; each may be null. */
    record Slice(int pos, Expr start, Expr stop, Expr step) implements Expr {}

    /** Arguments as written; {@code star} and {@code doubleStar} may be null. */
    record CallArgs(
        List<Expr> positional, List<String> names, List<Expr> named, Expr star, Expr doubleStar) {
      static final CallArgs NONE = new CallArgs(List.of(), List.of(), List.of(), null, null);
    }

    record Call(int pos, Expr callee, CallArgs args) implements Expr {}

    /** {@code input} is null for the head of a filter block. */
    record Filter(int pos, Expr input, String name, CallArgs args) implements Expr {}

    record Test(int pos, Expr input, String name, CallArgs args) implements Expr {}

    record Text(int pos, String text) implements Stmt {}

    record Print(int pos, List<Expr> values) implements Stmt {}

    /** Target of an assignment: a name, a namespace's attribute, or several in a tuple. */
    record Target(int pos, String name, String attribute, List<Target> parts) {}

    record Set(int pos, Target target, Expr value) implements Stmt {}

    record SetBlock(int pos, Target target, Expr filter, List<Stmt> body) implements Stmt {}

    record If(int pos, List<Expr> tests, List<List<Stmt>> bodies, List<Stmt> orElse)
        implements Stmt {}

    record For(
        int pos,
        Target target,
        Expr iterable,
        Expr test,
        boolean recursive,
        List<Stmt> body,
        List<Stmt> orElse)
        implements Stmt {}

    /** Parameters and body; defaults belong to the last parameters. */
    record MacroBody(
        String name,
        List<String> parameters,
        List<Expr> defaults,
        List<Stmt> body,
        boolean usesCaller,
        boolean usesKwargs,
        boolean usesVarargs) {}

    record Macro(int pos, MacroBody macro) implements Stmt {}

    record CallBlock(int pos, Call call, MacroBody caller) implements Stmt {}

    record FilterBlock(int pos, Expr filter, List<Stmt> body) implements Stmt {}

    record With(int pos, List<Target> targets, List<Expr> values, List<Stmt> body)
        implements Stmt {}

    /** {@code generation} (a scope of its own) or a {@code block} (which sees the root's scope). */
    record Scoped(int pos, boolean fromRoot, List<Stmt> body) implements Stmt {}

    record Leave(int pos, Interpreter.Flow flow) implements Stmt {}
  }
}
