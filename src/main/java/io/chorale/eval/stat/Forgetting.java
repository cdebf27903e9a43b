package io.chorale.eval.stat;

import io.chorale.eval.Metric.Transform;

/**
 * Whether a candidate lost what the base could do, on a test of something else.
 *
 * @param task the other test
 * @param candidate adapter or merged model
 * @param drop base minus candidate, so that more is worse: in points of 100 for shares, else in per
 *     cent of the base's number
 * @param allowed the largest drop that is accepted
 * @param verdict what the interval says about it
 */
public record Forgetting(
    String task, String candidate, Estimate drop, double allowed, Verdict verdict) {

  /** From the good end to the bad. */
  public enum Verdict {
    /** The whole interval is within what is allowed. */
    KEPT("kept"),
    /** The drop is within what is allowed, its interval is not: more documents would tell. */
    PROBABLY_KEPT("probably kept"),
    /** The drop is above what is allowed, its interval reaches below. */
    PROBABLY_FORGOT("probably forgot"),
    /** The whole interval is above what is allowed. */
    FORGOT("forgot");

    private final String words;

    Verdict(String words) {
      this.words = words;
    }

    public String words() {
      return words;
    }
  }

  static Forgetting of(
      String task, String candidate, Strata candidateScore, Strata base, Paired paired) {
    Estimate difference = paired.bootstrap().difference(candidateScore, base);
    boolean higher = base.first().higherIsBetter();
    double scale = base.first().transform() == Transform.SHARE ? 100 : 100 / Math.abs(base.value());
    Estimate drop =
        higher
            ? new Estimate(
                -scale * difference.value(), -scale * difference.high(), -scale * difference.low())
            : new Estimate(
                scale * difference.value(), scale * difference.low(), scale * difference.high());
    return new Forgetting(task, candidate, drop, paired.allowed(), verdict(drop, paired.allowed()));
  }

  /**
   * How to compare.
   *
   * @param allowed drop
   */
  public record Paired(Bootstrap bootstrap, double allowed) {
    public Forgetting judge(String task, String candidate, Strata score, Strata base) {
      return Forgetting.of(task, candidate, score, base, this);
    }
  }

  static Verdict verdict(Estimate drop, double allowed) {
    if (drop.high() <= allowed) {
      return Verdict.KEPT;
    }
    if (drop.low() > allowed) {
      return Verdict.FORGOT;
    }
    return drop.value() <= allowed ? Verdict.PROBABLY_KEPT : Verdict.PROBABLY_FORGOT;
  }
}
