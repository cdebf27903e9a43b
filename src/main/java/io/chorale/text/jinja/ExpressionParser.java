package io.chorale.text.jinja;

import io.chorale.text.jinja.Lexer.Token;
import io.chorale.text.jinja.Lexer.Type;
import io.chorale.text.jinja.Template.Failure;
import io.chorale.text.jinja.Template.Node;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Tokens to expressions, with jinja2's precedence: {@code if-else, or, and, not, comparison and in,
 * + -, ~, * / // %, **, unary, postfix, filter and test}. One thread; used up by one parse.
 */
class ExpressionParser extends Lexer.Cursor {
  private static final Map<String, Object> CONSTANTS =
      Map.of("true", true, "True", true, "false", false, "False", false);
  private static final Set<String> NONE = Set.of("none", "None");
  private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");

  /** Names read since the innermost macro began: decides on caller, kwargs and varargs. */
  Set<String> namesRead = new HashSet<>();

  /** Filters and tests that do not exist; forgiven where they stand behind a condition. */
  final List<Failure> unknown = new ArrayList<>();

  ExpressionParser(List<Token> tokens) {
    super(tokens);
  }

  static boolean isConstant(String name) {
    return CONSTANTS.containsKey(name) || NONE.contains(name);
  }

  /** Expressions separated by commas make a tuple; {@code parens} allows an empty one. */
  final Node.Expr tuple(boolean condition, boolean parens, String endName) {
    List<Node.Expr> items = new ArrayList<>();
    int pos = peek().pos();
    boolean comma = false;
    while (!tupleEnds(endName)) {
      items.add(condition ? expression() : or());
      if (!takeOp(",")) {
        break;
      }
      comma = true;
    }
    if (!comma && !items.isEmpty()) {
      return items.get(0);
    } else if (!comma && !parens) {
      throw wanted("an expression");
    }
    return new Node.Items(pos, true, items);
  }

  private boolean tupleEnds(String endName) {
    Token token = peek();
    return token.type() == Type.PRINT_END
        || token.type() == Type.BLOCK_END
        || token.isOp(")")
        || (endName != null && token.isName(endName));
  }

  final Node.Expr expression() {
    descend();
    int unknownBefore = unknown.size();
    Node.Expr value = or();
    while (peek().isName("if")) {
      int pos = take().pos();
      Node.Expr test = or();
      Node.Expr other = takeName("else") ? expression() : null;
      value = new Node.Choice(pos, test, value, other);
      unknown.subList(unknownBefore, unknown.size()).clear();
    }
    ascend();
    return value;
  }

  final Node.Expr or() {
    Node.Expr left = and();
    while (peek().isName("or")) {
      left = new Node.Logic(take().pos(), false, left, and());
    }
    return left;
  }

  private Node.Expr and() {
    Node.Expr left = not();
    while (peek().isName("and")) {
      left = new Node.Logic(take().pos(), true, left, not());
    }
    return left;
  }

  private Node.Expr not() {
    if (peek().isName("not")) {
      descend();
      Node.Expr value = new Node.Unary(take().pos(), "not", not());
      ascend();
      return value;
    }
    return comparison();
  }

  private Node.Expr comparison() {
    int pos = peek().pos();
    Node.Expr first = sum();
    List<String> ops = new ArrayList<>();
    List<Node.Expr> rest = new ArrayList<>();
    while (true) {
      Token token = peek();
      if (token.type() == Type.OPERATOR && COMPARISONS.contains(token.text())) {
        ops.add(take().text());
      } else if (takeName("in")) {
        ops.add("in");
      } else if (token.isName("not") && peekSecond().isName("in")) {
        take();
        take();
        ops.add("not in");
      } else {
        return ops.isEmpty() ? first : new Node.Compare(pos, first, ops, rest);
      }
      rest.add(sum());
    }
  }

  private Node.Expr sum() {
    Node.Expr left = concat();
    while (peek().isOp("+") || peek().isOp("-")) {
      Token op = take();
      left = new Node.Binary(op.pos(), op.text(), left, concat());
    }
    return left;
  }

  private Node.Expr concat() {
    int pos = peek().pos();
    Node.Expr first = product();
    if (!peek().isOp("~")) {
      return first;
    }
    List<Node.Expr> parts = new ArrayList<>(List.of(first));
    while (takeOp("~")) {
      parts.add(product());
    }
    return new Node.Concat(pos, parts);
  }

  private Node.Expr product() {
    Node.Expr left = power();
    while (peek().isOp("*") || peek().isOp("/") || peek().isOp("//") || peek().isOp("%")) {
      Token op = take();
      left = new Node.Binary(op.pos(), op.text(), left, power());
    }
    return left;
  }

  private Node.Expr power() {
    Node.Expr left = unary(true);
    while (peek().isOp("**")) {
      Token op = take();
      left = new Node.Binary(op.pos(), op.text(), left, unary(true));
    }
    return left;
  }

  private Node.Expr unary(boolean withFilter) {
    Node.Expr value;
    if (peek().isOp("-") || peek().isOp("+")) {
      descend();
      Token op = take();
      value = new Node.Unary(op.pos(), op.text(), unary(false));
      ascend();
    } else {
      value = primary();
    }
    value = postfix(value);
    return withFilter ? filtersAndTests(value) : value;
  }

  private Node.Expr primary() {
    Token token = peek();
    switch (token.type()) {
      case NAME -> {
        take();
        if (isConstant(token.text())) {
          return new Node.Const(token.pos(), CONSTANTS.get(token.text()));
        }
        namesRead.add(token.text());
        return new Node.Name(token.pos(), token.text());
      }
      case STRING -> {
        StringBuilder text = new StringBuilder();
        while (peek().type() == Type.STRING) {
          text.append(take().value());
        }
        return new Node.Const(token.pos(), text.toString());
      }
      case INTEGER, FLOAT -> {
        return new Node.Const(take().pos(), token.value());
      }
      default -> {
        return bracketed(token);
      }
    }
  }

  private Node.Expr bracketed(Token token) {
    if (takeOp("(")) {
      descend();
      Node.Expr value = tuple(true, true, null);
      ascend();
      expectOp(")");
      return value;
    }
    if (takeOp("[")) {
      List<Node.Expr> items = new ArrayList<>();
      while (!peek().isOp("]")) {
        items.add(expression());
        if (!takeOp(",")) {
          break;
        }
      }
      expectOp("]");
      return new Node.Items(token.pos(), false, items);
    }
    if (takeOp("{")) {
      List<Node.Expr> keys = new ArrayList<>();
      List<Node.Expr> values = new ArrayList<>();
      while (!peek().isOp("}")) {
        keys.add(expression());
        expectOp(":");
        values.add(expression());
        if (!takeOp(",")) {
          break;
        }
      }
      expectOp("}");
      return new Node.Dict(token.pos(), keys, values);
    }
    throw wanted("an expression");
  }

  private Node.Expr postfix(Node.Expr start) {
    Node.Expr value = start;
    while (true) {
      if (takeOp(".")) {
        Token name = take();
        if (name.type() == Type.NAME) {
          value = new Node.GetAttr(name.pos(), value, name.text());
        } else if (name.type() == Type.INTEGER) {
          Node.Expr index = new Node.Const(name.pos(), name.value());
          value = new Node.GetItem(name.pos(), value, index);
        } else {
          throw Failure.syntax(
              "unexpected " + name.describe() + " after '.', wanted a name or number", name.pos());
        }
      } else if (peek().isOp("[")) {
        value = subscript(value);
      } else if (peek().isOp("(")) {
        value = new Node.Call(peek().pos(), value, callArgs());
      } else {
        return value;
      }
    }
  }

  private Node.Expr subscript(Node.Expr value) {
    int pos = expectOp("[").pos();
    List<Node.Expr> parts = new ArrayList<>();
    while (!peek().isOp("]")) {
      if (!parts.isEmpty()) {
        expectOp(",");
      }
      parts.add(subscriptPart());
    }
    expectOp("]");
    Node.Expr index = parts.size() == 1 ? parts.get(0) : new Node.Items(pos, true, parts);
    return new Node.GetItem(pos, value, index);
  }

  private Node.Expr subscriptPart() {
    int pos = peek().pos();
    Node.Expr start = peek().isOp(":") ? null : expression();
    if (!takeOp(":")) {
      return start;
    }
    Node.Expr stop = sliceEnds() ? null : expression();
    Node.Expr step = takeOp(":") && !sliceEnds() ? expression() : null;
    return new Node.Slice(pos, start, stop, step);
  }

  private boolean sliceEnds() {
    return peek().isOp(":") || peek().isOp("]") || peek().isOp(",");
  }

  final Node.CallArgs callArgs() {
    int pos = expectOp("(").pos();
    List<Node.Expr> positional = new ArrayList<>();
    List<String> names = new ArrayList<>();
    List<Node.Expr> named = new ArrayList<>();
    Node.Expr star = null;
    Node.Expr doubleStar = null;
    while (!peek().isOp(")")) {
      boolean ordered;
      if (takeOp("*")) {
        ordered = star == null && doubleStar == null;
        star = expression();
      } else if (takeOp("**")) {
        ordered = doubleStar == null;
        doubleStar = expression();
      } else if (peek().type() == Type.NAME && peekSecond().isOp("=")) {
        ordered = doubleStar == null;
        names.add(take().text());
        take();
        named.add(expression());
      } else {
        ordered = star == null && doubleStar == null && names.isEmpty();
        positional.add(expression());
      }
      if (!ordered) {
        throw Failure.syntax("arguments out of order, wanted (a, *b, c=d, **e)", pos);
      }
      if (!takeOp(",")) {
        break;
      }
    }
    expectOp(")");
    return new Node.CallArgs(positional, names, named, star, doubleStar);
  }

  private Node.Expr filtersAndTests(Node.Expr start) {
    Node.Expr value = start;
    while (true) {
      if (takeOp("|")) {
        value = filter(value);
      } else if (peek().isName("is")) {
        value = test(value);
      } else if (peek().isOp("(")) {
        value = new Node.Call(peek().pos(), value, callArgs());
      } else {
        return value;
      }
    }
  }

  /** A filter's name and arguments, behind {@code |} or {@code filter}. */
  final Node.Expr filter(Node.Expr input) {
    Token token = expectName();
    String name = dotted(token);
    if (!Filters.exists(name)) {
      unknown.add(Failure.syntax("no filter named '" + name + "'", token.pos()));
    }
    Node.CallArgs args = peek().isOp("(") ? callArgs() : Node.CallArgs.NONE;
    return new Node.Filter(token.pos(), input, name, args);
  }

  private String dotted(Token first) {
    StringBuilder name = new StringBuilder(first.text());
    while (takeOp(".")) {
      name.append('.').append(expectName().text());
    }
    return name.toString();
  }

  private Node.Expr test(Node.Expr input) {
    int pos = take().pos();
    boolean negated = takeName("not");
    Token token = expectName();
    String name = dotted(token);
    if (!Builtins.TESTS.containsKey(name)) {
      unknown.add(Failure.syntax("no test named '" + name + "'", token.pos()));
    }
    Node.CallArgs args = Node.CallArgs.NONE;
    if (peek().isOp("(")) {
      args = callArgs();
    } else if (startsTestArgument()) {
      if (peek().isName("is")) {
        throw wanted("no second 'is'");
      }
      List<Node.Expr> one = List.of(postfix(primary()));
      args = new Node.CallArgs(one, List.of(), List.of(), null, null);
    }
    Node.Expr result = new Node.Test(token.pos(), input, name, args);
    return negated ? new Node.Unary(pos, "not", result) : result;
  }

  private boolean startsTestArgument() {
    Token token = peek();
    return switch (token.type()) {
      case NAME -> !Set.of("else", "or", "and").contains(token.text());
      case STRING, INTEGER, FLOAT -> true;
      case OPERATOR -> token.isOp("[") || token.isOp("{");
      default -> false;
    };
  }
}
