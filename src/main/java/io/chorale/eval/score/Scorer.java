package io.chorale.eval.score;

import java.util.List;

/** Says how right an answer is. Immutable; any thread. */
public interface Scorer {
  /**
   * @param answer as generated
   * @param wanted right answers, at least one; the best match counts
   */
  Verdict score(String answer, List<String> wanted);

  /** The name that test files use. */
  String label();

  /**
   * A judgement.
   *
   * @param score 0 or 1
   * @param seen what was compared, such as the number that was found; null if nothing was found
   * @param note why it failed, if that is more than being different; else null
   */
  record Verdict(double score, String seen, String note) {
    static Verdict of(boolean right, String seen) {
      return new Verdict(right ? 1 : 0, seen, null);
    }

    static Verdict missing(String note) {
      return new Verdict(0, null, note);
    }
  }
}
