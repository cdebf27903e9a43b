package io.chorale.adapter.read;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * A regular expression as Python's {@code re} reads it, for short module names. The text comes from
 * a file that anyone may have written, so its length and the steps of a match are bounded.
 */
final class PythonRegex {
  private static final int MAX_LENGTH = 20_000; // every module of a large model by name, joined
  private static final int MAX_DEPTH = 100; // java.util.regex recurses into nested groups
  private static final int MAX_STEPS = 200_000;
  private static final long MAX_TOTAL_STEPS = 500_000_000;

  /** The steps that all patterns of one adapter may take together. One thread. */
  static final class Budget {
    private long left = MAX_TOTAL_STEPS;
  }

  private final Budget budget;
  private final String python;
  private final Pattern pattern;

  private PythonRegex(Budget budget, String python, Pattern pattern) {
    this.budget = budget;
    this.python = python;
    this.pattern = pattern;
  }

  /**
   * @throws IllegalArgumentException if it is too long or not a regular expression
   */
  static PythonRegex compile(String python, Budget budget) {
    if (python.length() > MAX_LENGTH) {
      throw new IllegalArgumentException(
          "pattern of %d characters, at most %d".formatted(python.length(), MAX_LENGTH));
    }
    if (depth(python) > MAX_DEPTH) {
      throw new IllegalArgumentException(
          "pattern '%s' nests more than %d groups".formatted(brief(python), MAX_DEPTH));
    }
    String java = python.replace("(?P<", "(?<").replaceAll("\\(\\?P=(\\w+)\\)", "\\\\k<$1>");
    try {
      return new PythonRegex(budget, python, Pattern.compile(java));
    } catch (PatternSyntaxException e) {
      throw new IllegalArgumentException(
          "'" + brief(python) + "' is not a regular expression that can be read", e);
    }
  }

  private static int depth(String python) {
    int depth = 0;
    int deepest = 0;
    for (int i = 0; i < python.length(); i++) {
      depth += python.charAt(i) == '(' ? 1 : python.charAt(i) == ')' ? -1 : 0;
      deepest = Math.max(deepest, depth);
    }
    return deepest;
  }

  private static String brief(String python) {
    return python.length() > 80 ? python.substring(0, 80) + "..." : python;
  }

  /** Python's re.fullmatch. */
  boolean fullMatch(String text) {
    return run(text, true) != null;
  }

  /** Python's re.match: from the start, not necessarily to the end; null if it does not match. */
  Matcher match(String text) {
    return run(text, false);
  }

  private Matcher run(String text, boolean whole) {
    Matcher matcher = pattern.matcher(new Counted(text, budget));
    try {
      return (whole ? matcher.matches() : matcher.lookingAt()) ? matcher : null;
    } catch (TooManySteps | StackOverflowError e) {
      throw new IllegalArgumentException(
          "pattern '" + brief(python) + "' takes too long to match '" + text + "'", e);
    }
  }

  private static final class TooManySteps extends RuntimeException {
    private TooManySteps() {
      super("more than " + MAX_STEPS + " steps, or " + MAX_TOTAL_STEPS + " in all");
    }
  }

  /** Counts the engine's reads: java.util.regex has no limit of its own. */
  private static final class Counted implements CharSequence {
    private final String text;
    private final Budget budget;
    private int steps;

    private Counted(String text, Budget budget) {
      this.text = text;
      this.budget = budget;
    }

    @Override
    public char charAt(int index) {
      if (++steps > MAX_STEPS || --budget.left < 0) {
        throw new TooManySteps();
      }
      return text.charAt(index);
    }

    @Override
    public int length() {
      return text.length();
    }

    @Override
    public CharSequence subSequence(int start, int end) {
      return text.subSequence(start, end);
    }

    @Override
    public String toString() {
      return text;
    }
  }
}
