package io.chorale.text.jinja;

import io.chorale.text.jinja.Lexer.Token;
import io.chorale.text.jinja.Lexer.Type;
import io.chorale.text.jinja.Template.Failure;
import io.chorale.text.jinja.Template.Node;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Tokens to statements. One thread; used up by one parse. */
final class Parser extends ExpressionParser {
  private static final Set<String> REFUSED =
      Set.of("include", "import", "from", "extends", "autoescape");
  private final Set<String> blocks = new HashSet<>();
  private int loops;

  Parser(List<Token> tokens) {
    super(tokens);
  }

  List<Node.Stmt> template() {
    List<Node.Stmt> body = strictBody(Set.of(), null);
    if (peek().type() != Type.EOF) {
      throw wanted("end of template");
    }
    return body;
  }

  /** A body in which every filter and test must exist, used or not. */
  private List<Node.Stmt> strictBody(Set<String> ends, Token opener) {
    int before = unknown.size();
    List<Node.Stmt> body = body(ends, opener);
    if (unknown.size() > before) {
      throw unknown.get(before);
    }
    return body;
  }

  /** Statements up to one of the end tags, which is left as the next token. */
  private List<Node.Stmt> body(Set<String> ends, Token opener) {
    descend();
    List<Node.Stmt> body = new ArrayList<>();
    while (true) {
      Token token = peek();
      switch (token.type()) {
        case DATA -> body.add(new Node.Text(token.pos(), take().text()));
        case PRINT_BEGIN -> {
          take();
          body.add(new Node.Print(token.pos(), List.of(tuple(true, false, null))));
          expect(Type.PRINT_END, "'}}'");
        }
        case BLOCK_BEGIN -> {
          take();
          if (peek().type() == Type.NAME && ends.contains(peek().text())) {
            ascend();
            return body;
          }
          body.add(statement());
          expect(Type.BLOCK_END, "'%}'");
        }
        default -> {
          if (opener != null) {
            throw Failure.syntax(
                "'%s' is never closed, wanted %s"
                    .formatted(opener.text(), String.join(" or ", new java.util.TreeSet<>(ends))),
                opener.pos());
          }
          ascend();
          return body;
        }
      }
    }
  }

  /** Behind a statement's head: optional colon, end of tag, body. */
  private List<Node.Stmt> bodyOf(Token opener, boolean strict, String... ends) {
    takeOp(":");
    expect(Type.BLOCK_END, "'%}'");
    return strict ? strictBody(Set.of(ends), opener) : body(Set.of(ends), opener);
  }

  private List<Node.Stmt> closedBodyOf(Token opener, String end) {
    List<Node.Stmt> body = bodyOf(opener, true, end);
    take();
    return body;
  }

  private Node.Stmt statement() {
    Token token = expectName();
    if (REFUSED.contains(token.text())) {
      throw Failure.syntax(
          "'%s' is refused: a chat template stands alone".formatted(token.text()), token.pos());
    }
    return switch (token.text()) {
      case "set" -> set(token);
      case "if" -> choice(token);
      case "for" -> loop(token);
      case "macro" -> macro(token);
      case "call" -> callBlock(token);
      case "filter" -> {
        Node.Expr filter = filterChain(filter(null));
        yield new Node.FilterBlock(token.pos(), filter, closedBodyOf(token, "endfilter"));
      }
      case "with" -> with(token);
      case "generation" ->
          new Node.Scoped(token.pos(), false, closedBodyOf(token, "endgeneration"));
      case "block" -> block(token);
      case "print" -> print(token);
      case "break" -> leave(token, Interpreter.Flow.BREAK);
      case "continue" -> leave(token, Interpreter.Flow.CONTINUE);
      default -> throw Failure.syntax("unknown tag '" + token.text() + "'", token.pos());
    };
  }

  private Node.Expr filterChain(Node.Expr first) {
    Node.Expr value = first;
    while (takeOp("|")) {
      value = filter(value);
    }
    return value;
  }

  private Node.Stmt leave(Token token, Interpreter.Flow flow) {
    if (loops == 0) {
      throw Failure.syntax("'" + token.text() + "' outside of a loop", token.pos());
    }
    return new Node.Leave(token.pos(), flow);
  }

  private Node.Stmt print(Token token) {
    List<Node.Expr> values = new ArrayList<>();
    while (peek().type() != Type.BLOCK_END) {
      if (!values.isEmpty()) {
        expectOp(",");
      }
      values.add(expression());
    }
    return new Node.Print(token.pos(), values);
  }

  private Node.Stmt set(Token token) {
    Node.Target target = targets(true, "=");
    if (takeOp("=")) {
      return new Node.Set(token.pos(), target, tuple(true, false, null));
    }
    Node.Expr filter = null;
    while (takeOp("|")) {
      filter = filter(filter);
    }
    return new Node.SetBlock(token.pos(), target, filter, closedBodyOf(token, "endset"));
  }

  /** One target or, with commas, several; {@code end} is what follows. */
  private Node.Target targets(boolean namespaces, String end) {
    int pos = peek().pos();
    List<Node.Target> parts = new ArrayList<>();
    boolean comma = false;
    while (!peek().isName(end) && !peek().isOp(end) && peek().type() != Type.BLOCK_END) {
      parts.add(target(namespaces));
      if (!takeOp(",")) {
        break;
      }
      comma = true;
    }
    if (parts.isEmpty()) {
      throw wanted("a name to assign to");
    }
    return comma ? new Node.Target(pos, null, null, parts) : parts.get(0);
  }

  private Node.Target target(boolean namespaces) {
    int pos = peek().pos();
    if (takeOp("(")) {
      descend();
      Node.Target inner = targets(namespaces, ")");
      ascend();
      expectOp(")");
      return inner;
    }
    String name = assignable();
    if (namespaces && takeOp(".")) {
      return new Node.Target(pos, name, expectName().text(), null);
    }
    return new Node.Target(pos, name, null, null);
  }

  private String assignable() {
    Token token = expectName();
    if (isConstant(token.text()) || (loops > 0 && token.text().equals("loop"))) {
      throw Failure.syntax("cannot assign to '" + token.text() + "'", token.pos());
    }
    return token.text();
  }

  private Node.Stmt choice(Token token) {
    List<Node.Expr> tests = new ArrayList<>();
    List<List<Node.Stmt>> bodies = new ArrayList<>();
    int unknownBefore = unknown.size();
    List<Node.Stmt> orElse = List.of();
    boolean more = true;
    while (more) {
      tests.add(tuple(false, false, null));
      bodies.add(bodyOf(token, false, "elif", "else", "endif"));
      String end = take().text();
      more = end.equals("elif");
      if (end.equals("else")) {
        orElse = bodyOf(token, false, "endif");
        take();
      }
    }
    unknown.subList(unknownBefore, unknown.size()).clear();
    return new Node.If(token.pos(), tests, bodies, orElse);
  }

  private Node.Stmt loop(Token token) {
    loops++;
    Node.Target target = targets(false, "in");
    if (!takeName("in")) {
      throw wanted("'in'");
    }
    Node.Expr iterable = tuple(false, false, "recursive");
    Node.Expr test = takeName("if") ? expression() : null;
    boolean recursive = takeName("recursive");
    List<Node.Stmt> body = bodyOf(token, true, "endfor", "else");
    loops--;
    List<Node.Stmt> orElse =
        take().text().equals("else") ? closedBodyOf(token, "endfor") : List.of();
    return new Node.For(token.pos(), target, iterable, test, recursive, body, orElse);
  }

  private Node.Stmt with(Token token) {
    List<Node.Target> targets = new ArrayList<>();
    List<Node.Expr> values = new ArrayList<>();
    while (peek().type() != Type.BLOCK_END) {
      if (!targets.isEmpty()) {
        expectOp(",");
      }
      targets.add(targets(false, "="));
      expectOp("=");
      values.add(expression());
    }
    return new Node.With(token.pos(), targets, values, closedBodyOf(token, "endwith"));
  }

  private Node.Stmt block(Token token) {
    String name = expectName().text();
    if (!blocks.add(name)) {
      throw Failure.syntax("block '" + name + "' is defined twice", token.pos());
    }
    boolean scoped = takeName("scoped");
    List<Node.Stmt> body = closedBodyOf(token, "endblock");
    takeName(name);
    return new Node.Scoped(token.pos(), !scoped, body);
  }

  private Node.Stmt macro(Token token) {
    String name = assignable();
    return new Node.Macro(token.pos(), macroBody(token, name, "endmacro"));
  }

  private Node.Stmt callBlock(Token token) {
    Set<String> outer = namesRead;
    namesRead = new HashSet<>();
    List<String> parameters = new ArrayList<>();
    List<Node.Expr> defaults = new ArrayList<>();
    if (peek().isOp("(")) {
      signature(parameters, defaults);
    }
    Node.Expr call = expression();
    if (!(call instanceof Node.Call target)) {
      throw Failure.syntax("'call' wants a call such as name(...)", token.pos());
    }
    Node.MacroBody body = finish("caller", parameters, defaults, token, "endcall", outer);
    return new Node.CallBlock(token.pos(), target, body);
  }

  private Node.MacroBody macroBody(Token token, String name, String end) {
    Set<String> outer = namesRead;
    namesRead = new HashSet<>();
    List<String> parameters = new ArrayList<>();
    List<Node.Expr> defaults = new ArrayList<>();
    signature(parameters, defaults);
    return finish(name, parameters, defaults, token, end, outer);
  }

  private Node.MacroBody finish(
      String name,
      List<String> parameters,
      List<Node.Expr> defaults,
      Token token,
      String end,
      Set<String> outer) {
    int outerLoops = loops;
    loops = 0;
    List<Node.Stmt> body = closedBodyOf(token, end);
    loops = outerLoops;
    Set<String> read = namesRead;
    outer.addAll(read);
    namesRead = outer;
    return new Node.MacroBody(
        name,
        parameters,
        defaults,
        body,
        read.contains("caller"),
        read.contains("kwargs") && !parameters.contains("kwargs"),
        read.contains("varargs") && !parameters.contains("varargs"));
  }

  private void signature(List<String> parameters, List<Node.Expr> defaults) {
    expectOp("(");
    while (!peek().isOp(")")) {
      if (!parameters.isEmpty()) {
        expectOp(",");
      }
      parameters.add(assignable());
      if (takeOp("=")) {
        defaults.add(expression());
      } else if (!defaults.isEmpty()) {
        throw wanted("'=': a parameter after one with a default needs one too");
      }
    }
    expectOp(")");
  }
}
