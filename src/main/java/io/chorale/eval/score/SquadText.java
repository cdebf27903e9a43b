package io.chorale.eval.score;

import java.util.Locale;
import java.util.regex.Pattern;

/**
 * An answer as SQuAD 1.1's evaluation script compares it: lower case, without ASCII punctuation,
 * without the articles a, an and the, blanks collapsed. Rajpurkar et al. 2016, arXiv:1606.05250.
 */
final class SquadText {
  private static final Pattern PUNCTUATION = Pattern.compile("[!-/:-@\\[-`{-~]");
  private static final Pattern ARTICLES =
      Pattern.compile("\\b(a|an|the)\\b", Pattern.UNICODE_CHARACTER_CLASS);
  private static final Pattern BLANKS =
      Pattern.compile("[\\s\\x1c-\\x1f]+", Pattern.UNICODE_CHARACTER_CLASS);

  private SquadText() {}

  static String of(String text) {
    String bare = PUNCTUATION.matcher(text.toLowerCase(Locale.ROOT)).replaceAll("");
    return BLANKS.matcher(ARTICLES.matcher(bare).replaceAll(" ")).replaceAll(" ").strip();
  }
}
