package io.chorale.eval.score;

import java.util.List;
import java.util.Locale;

/** Compares whole texts. */
public enum TextScorer implements Scorer {
  /** Equal but for blanks at both ends. */
  EXACT {
    @Override
    boolean matches(String answer, String wanted) {
      return answer.strip().equals(wanted.strip());
    }

    @Override
    String seen(String answer) {
      return answer.strip();
    }
  },
  /** Equal but for case, punctuation, articles and blanks, as in SQuAD 1.1. */
  NORMALISED {
    @Override
    boolean matches(String answer, String wanted) {
      return SquadText.of(answer).equals(SquadText.of(wanted));
    }

    @Override
    String seen(String answer) {
      return SquadText.of(answer);
    }
  },
  /** The normalised wanted text stands in the normalised answer, as whole words. */
  CONTAINS {
    @Override
    boolean matches(String answer, String wanted) {
      String words = SquadText.of(wanted);
      return !words.isEmpty() && (" " + SquadText.of(answer) + " ").contains(" " + words + " ");
    }

    @Override
    String seen(String answer) {
      return SquadText.of(answer);
    }
  };

  abstract boolean matches(String answer, String wanted);

  abstract String seen(String answer);

  @Override
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  @Override
  public Verdict score(String answer, List<String> wanted) {
    return Verdict.of(wanted.stream().anyMatch(w -> matches(answer, w)), seen(answer));
  }
}
