package io.chorale.eval.score;

import io.chorale.eval.EvalException;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** Takes a part out of the answer and compares that. */
final class RegexScorer implements Scorer {
  private final Pattern pattern;
  private final int group;
  private final boolean last;
  private final TextScorer compare;

  /**
   * @param group 0 is the whole match
   * @param last the last match counts, not the first
   * @throws EvalException if the pattern cannot be read or has no such group
   */
  RegexScorer(String pattern, int group, boolean last, TextScorer compare) {
    try {
      this.pattern = Pattern.compile(pattern);
    } catch (PatternSyntaxException e) {
      throw new EvalException(
          "scorer regex: pattern '%s' cannot be read: %s".formatted(pattern, e.getDescription()),
          e);
    }
    int groups = this.pattern.matcher("").groupCount();
    if (group < 0 || group > groups) {
      throw new EvalException(
          "scorer regex: group is %d, pattern '%s' has %d".formatted(group, pattern, groups));
    }
    this.group = group;
    this.last = last;
    this.compare = compare;
  }

  /** Group 1 if there is one, else the whole match. */
  static int usualGroup(String pattern) {
    try {
      return Math.min(1, Pattern.compile(pattern).matcher("").groupCount());
    } catch (PatternSyntaxException e) {
      return 0; // the constructor says what is wrong
    }
  }

  @Override
  public String label() {
    return "regex";
  }

  @Override
  public Verdict score(String answer, List<String> wanted) {
    Matcher matcher = pattern.matcher(answer);
    String found = null;
    while (matcher.find()) {
      found = matcher.group(group);
      if (!last) {
        break;
      }
    }
    if (found == null) {
      return Verdict.missing("the pattern does not match");
    }
    return new Verdict(compare.score(found, wanted).score(), found, null);
  }
}
