package io.chorale.text.jinja;

import io.chorale.text.jinja.Template.Failure;
import java.math.BigInteger;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Template text to tokens, with jinja2's whitespace rules for {@code trim_blocks} (the newline
 * after a block or comment goes) and {@code lstrip_blocks} (blanks before a block or comment that
 * starts its line go), both overruled by {@code -} and {@code +}.
 */
final class Lexer {
  /** Kind of a token. */
  enum Type {
    DATA,
    PRINT_BEGIN,
    PRINT_END,
    BLOCK_BEGIN,
    BLOCK_END,
    NAME,
    STRING,
    INTEGER,
    FLOAT,
    OPERATOR,
    EOF
  }

  /** {@code text} is the source text, {@code value} the constant of a literal. */
  record Token(Type type, String text, Object value, int pos) {
    boolean isName(String name) {
      return type == Type.NAME && text.equals(name);
    }

    boolean isOp(String op) {
      return type == Type.OPERATOR && text.equals(op);
    }

    String describe() {
      return switch (type) {
        case DATA -> "text";
        case EOF -> "end of template";
        case PRINT_END, BLOCK_END -> "end of tag";
        default -> "'" + text + "'";
      };
    }
  }

  private static final List<String> OPERATORS =
      List.of(
          "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{",
          "}", ">", "<", "=", ".", ":", "|", ",", ";");
  private static final String DIGITS = "\\d++(?:_\\d++)*+";
  private static final Pattern FLOAT =
      Pattern.compile("D(?:(?:\\.D)?[eE][-+]?D|\\.D)".replace("D", DIGITS));
  private static final Pattern INTEGER =
      Pattern.compile("0[xX](?:_?\\p{XDigit})++|0[oO](?:_?[0-7])++|0[bB](?:_?[01])++|" + DIGITS);
  private static final int MAX_DIGITS = 400;
  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private int pos;

  Lexer(String normalizedSource) {
    this.source = normalizedSource;
  }

  /** Unix newlines, and one newline at the very end dropped. */
  static String normalize(String text) {
    String unix = text.replace("\r\n", "\n").replace('\r', '\n');
    return unix.endsWith("\n") ? unix.substring(0, unix.length() - 1) : unix;
  }

  List<Token> tokens() {
    while (pos < source.length()) {
      int tag = nextTag();
      if (tag < 0) {
        add(Type.DATA, source.substring(pos), null, pos);
        pos = source.length();
      } else {
        data(tag, source.charAt(tag + 1) == '{');
        tag();
      }
    }
    add(Type.EOF, "", null, pos);
    return tokens;
  }

  private void add(Type type, String text, Object value, int at) {
    if (type != Type.DATA || !text.isEmpty()) {
      tokens.add(new Token(type, text, value, at));
    }
  }

  private int nextTag() {
    for (int at = source.indexOf('{', pos); at >= 0; at = source.indexOf('{', at + 1)) {
      if (at + 1 < source.length() && "%{#".indexOf(source.charAt(at + 1)) >= 0) {
        return at;
      }
    }
    return -1;
  }

  /** Emits the text up to a tag, stripped as the tag's sign says, and moves to the tag. */
  private void data(int tag, boolean print) {
    char sign = tag + 2 < source.length() ? source.charAt(tag + 2) : ' ';
    int end = tag;
    if (sign == '-') {
      while (end > pos && StringMethods.isSpace(source.charAt(end - 1))) {
        end--;
      }
    } else if (sign != '+' && !print) {
      int lineStart = source.lastIndexOf('\n', tag - 1) + 1;
      boolean startsLine = lineStart >= pos || pos == 0 || source.charAt(pos - 1) == '\n';
      int from = Math.max(lineStart, pos);
      if (startsLine && isBlank(from, tag)) {
        end = from;
      }
    }
    add(Type.DATA, source.substring(pos, end), null, pos);
    pos = tag;
  }

  private boolean isBlank(int from, int to) {
    for (int i = from; i < to; i++) {
      if (!StringMethods.isSpace(source.charAt(i))) {
        return false;
      }
    }
    return true;
  }

  private void tag() {
    int start = pos;
    char kind = source.charAt(pos + 1);
    pos += 2;
    if (pos < source.length() && "+-".indexOf(source.charAt(pos)) >= 0) {
      pos++;
    }
    if (kind == '#') {
      int end = source.indexOf("#}", pos);
      if (end < 0) {
        throw Failure.syntax("comment is never closed, wanted '#}'", start);
      }
      char sign = end > pos ? source.charAt(end - 1) : ' ';
      pos = end + 2;
      afterTag(sign, true);
    } else if (kind == '%' && rawBegin()) {
      raw(start);
    } else {
      add(kind == '%' ? Type.BLOCK_BEGIN : Type.PRINT_BEGIN, "", null, start);
      expression(kind == '%' ? "%}" : "}}", start);
    }
  }

  /** Drops what a closed tag swallows behind itself. */
  private void afterTag(char sign, boolean trims) {
    if (sign == '-') {
      skipSpace();
    } else if (sign != '+' && trims && pos < source.length() && source.charAt(pos) == '\n') {
      pos++;
    }
  }

  private void skipSpace() {
    while (pos < source.length() && StringMethods.isSpace(source.charAt(pos))) {
      pos++;
    }
  }

  /** Is this {@code raw}? Then moves behind its tag; raw's own tag does not trim its newline. */
  private boolean rawBegin() {
    int back = pos;
    skipSpace();
    if (source.startsWith("raw", pos)) {
      pos += 3;
      skipSpace();
      if (source.startsWith("%}", pos)) {
        pos += 2;
        return true;
      }
      if (source.startsWith("-%}", pos)) {
        pos += 3;
        skipSpace();
        return true;
      }
    }
    pos = back;
    return false;
  }

  private void raw(int start) {
    for (int at = source.indexOf("{%", pos); at >= 0; at = source.indexOf("{%", at + 2)) {
      int textStart = pos;
      pos = at + 2;
      if (pos < source.length() && "+-".indexOf(source.charAt(pos)) >= 0) {
        pos++;
      }
      skipSpace();
      if (source.startsWith("endraw", pos)) {
        pos += 6;
        skipSpace();
        char sign = pos < source.length() ? source.charAt(pos) : ' ';
        int close = sign == '-' || sign == '+' ? pos + 1 : pos;
        if (source.startsWith("%}", close)) {
          pos = textStart;
          data(at, false);
          pos = close + 2;
          afterTag(sign, true);
          return;
        }
      }
      pos = textStart;
    }
    throw Failure.syntax("raw is never closed, wanted 'endraw'", start);
  }

  private void expression(String end, int start) {
    Deque<Character> open = new ArrayDeque<>();
    while (true) {
      skipSpace();
      if (pos >= source.length()) {
        throw Failure.syntax("tag is never closed, wanted '" + end + "'", start);
      }
      char c = source.charAt(pos);
      boolean signed = c == '-' || (c == '+' && end.equals("%}"));
      if (open.isEmpty() && source.startsWith(end, signed ? pos + 1 : pos)) {
        boolean block = end.equals("%}");
        add(block ? Type.BLOCK_END : Type.PRINT_END, "", null, pos);
        pos += signed ? 3 : 2;
        afterTag(signed ? c : ' ', block);
        return;
      }
      if (c >= '0' && c <= '9') {
        number();
      } else if (c == '\'' || c == '"') {
        string(c);
      } else if (isNameStart(source.codePointAt(pos))) {
        name();
      } else {
        operator(open);
      }
    }
  }

  private static boolean isNameStart(int c) {
    return c == '_' || Character.isUnicodeIdentifierStart(c);
  }

  private void name() {
    int start = pos;
    while (pos < source.length()) {
      int c = source.codePointAt(pos);
      if (c != '_' && !Character.isUnicodeIdentifierPart(c)) {
        break;
      }
      pos += Character.charCount(c);
    }
    add(Type.NAME, source.substring(start, pos), null, start);
  }

  private void operator(Deque<Character> open) {
    for (String op : OPERATORS) {
      if (source.startsWith(op, pos)) {
        char c = op.charAt(0);
        if (c == '(' || c == '[' || c == '{') {
          open.push(c == '(' ? ')' : c == '[' ? ']' : '}');
        } else if (c == ')' || c == ']' || c == '}') {
          if (open.isEmpty() || open.peek() != c) {
            String wanted = open.isEmpty() ? "nothing to close" : "'" + open.peek() + "'";
            throw Failure.syntax("unexpected '" + c + "', wanted " + wanted, pos);
          }
          open.pop();
        }
        add(Type.OPERATOR, op, null, pos);
        pos += op.length();
        return;
      }
    }
    throw Failure.syntax(
        "unexpected character '" + Character.toString(source.codePointAt(pos)) + "'", pos);
  }

  private void number() {
    Matcher matcher = FLOAT.matcher(source).region(pos, source.length());
    boolean afterDot = pos > 0 && source.charAt(pos - 1) == '.';
    boolean decimal = !afterDot && matcher.lookingAt();
    if (!decimal) {
      matcher = INTEGER.matcher(source).region(pos, source.length());
      matcher.lookingAt();
    }
    String text = matcher.group();
    String digits = text.replace("_", "").toLowerCase(Locale.ROOT);
    if (digits.length() > MAX_DIGITS) {
      throw Failure.syntax(
          "number of " + digits.length() + " digits, wanted <= " + MAX_DIGITS, pos);
    }
    if (decimal) {
      add(Type.FLOAT, text, Double.parseDouble(digits), pos);
    } else {
      char mark = digits.length() > 1 ? digits.charAt(1) : ' ';
      int radix = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
      BigInteger value = new BigInteger(radix == 10 ? digits : digits.substring(2), radix);
      add(Type.INTEGER, text, Values.number(value), pos);
    }
    pos = matcher.end();
  }

  private void string(char quote) {
    int start = pos;
    int end = start + 1;
    while (end < source.length() && source.charAt(end) != quote) {
      end += source.charAt(end) == '\\' ? 2 : 1;
    }
    if (end >= source.length()) {
      throw Failure.syntax("string is never closed, wanted " + quote, start);
    }
    pos = end + 1;
    String text = source.substring(start, pos);
    add(Type.STRING, text, StringMethods.unescape(source.substring(start + 1, end), start), start);
  }

  /** Walks along the tokens of one template. */
  static class Cursor {
    private static final int MAX_NESTING = 120;
    private final List<Token> tokens;
    private int next;
    private int nesting;

    Cursor(List<Token> tokens) {
      this.tokens = tokens;
    }

    final Token peek() {
      return tokens.get(next);
    }

    final Token peekSecond() {
      return tokens.get(Math.min(next + 1, tokens.size() - 1));
    }

    final Token take() {
      Token token = tokens.get(next);
      next = Math.min(next + 1, tokens.size() - 1);
      return token;
    }

    final boolean takeOp(String op) {
      boolean found = peek().isOp(op);
      if (found) {
        take();
      }
      return found;
    }

    final boolean takeName(String name) {
      boolean found = peek().isName(name);
      if (found) {
        take();
      }
      return found;
    }

    final Token expectOp(String op) {
      if (!peek().isOp(op)) {
        throw wanted("'" + op + "'");
      }
      return take();
    }

    final Token expectName() {
      return expect(Type.NAME, "a name");
    }

    final Token expect(Type type, String what) {
      if (peek().type() != type) {
        throw wanted(what);
      }
      return take();
    }

    final Failure wanted(String what) {
      return Failure.syntax("unexpected " + peek().describe() + ", wanted " + what, peek().pos());
    }

    final void descend() {
      if (++nesting > MAX_NESTING) {
        throw Failure.syntax("nested deeper than " + MAX_NESTING, peek().pos());
      }
    }

    final void ascend() {
      nesting--;
    }
  }
}
