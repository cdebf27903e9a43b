package io.chorale.eval.score;

import io.chorale.eval.EvalException;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Compares a number in the answer: the last one (or the first), thousands separators dropped.
 *
 * @param absolute difference that is allowed
 * @param relative difference that is allowed, as a share of the wanted number; the larger counts
 * @param last the answer's last number counts, not its first
 */
record NumericScorer(double absolute, double relative, boolean last) implements Scorer {
  private static final Pattern NUMBER =
      Pattern.compile(
          "[-+]?(?:(?:\\d{1,3}(?:,\\d{3})+(?!\\d)|\\d+)(?:\\.\\d+)?|\\.\\d+)(?:[eE][-+]?\\d+)?");

  NumericScorer {
    if (!(absolute >= 0 && relative >= 0)) {
      throw new EvalException(
          "scorer numeric: tolerance is %s and rel_tolerance %s, wanted 0 or more"
              .formatted(absolute, relative));
    }
  }

  @Override
  public String label() {
    return "numeric";
  }

  @Override
  public Verdict score(String answer, List<String> wanted) {
    Double found = find(answer, last);
    if (found == null) {
      return Verdict.missing("there is no number");
    }
    for (String each : wanted) {
      Double right = find(each, true);
      if (right == null) {
        throw new EvalException(
            "scorer numeric: the wanted answer '%s' has no number".formatted(each));
      }
      if (near(found, right)) {
        return Verdict.of(true, found.toString());
      }
    }
    return Verdict.of(false, found.toString());
  }

  boolean near(double found, double right) {
    return Math.abs(found - right) <= Math.max(absolute, relative * Math.abs(right));
  }

  /** Null if there is none. */
  static Double find(String text, boolean last) {
    Matcher matcher = NUMBER.matcher(text);
    Double found = null;
    while (matcher.find()) {
      String digits = matcher.group().replace(",", "");
      // A hyphen after a word or a number joins, it does not negate: "2019-20".
      boolean joined =
          digits.startsWith("-")
              && matcher.start() > 0
              && Character.isLetterOrDigit(text.charAt(matcher.start() - 1));
      found = Double.valueOf(joined ? digits.substring(1) : digits);
      if (!last) {
        break;
      }
    }
    return found;
  }
}
