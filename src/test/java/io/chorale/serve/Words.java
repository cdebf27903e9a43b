package io.chorale.serve;

import io.chorale.text.Tokenizer;
import java.util.Arrays;

/** Token ids for scripts: one token sequence per piece of text. */
public final class Words {
  private static final Tokenizer TOKENIZER = ServeBeans.tokenizer();

  private Words() {}

  /** The ids of each piece, one after the other. */
  public static int[] ids(String... pieces) {
    return Arrays.stream(pieces)
        .flatMapToInt(piece -> Arrays.stream(TOKENIZER.encode(piece, true)))
        .toArray();
  }

  /** One token per character of the text, for texts whose characters are tokens. */
  public static int[] letters(String text) {
    return ids(text.split(""));
  }
}
