package io.chorale.eval.run;

import io.chorale.text.ChatPrompt;
import io.chorale.text.Tokenizer;
import java.util.Set;

/**
 * The text side of the evaluated base.
 *
 * @param chatPrompt null if the model has no chat template
 * @param endTokenIds tokens that end an answer; may be empty
 * @param addBos raw texts start with {@code bosTokenId}
 * @param bosTokenId -1 if the model has none
 */
public record ModelText(
    Tokenizer tokenizer,
    ChatPrompt chatPrompt,
    Set<Integer> endTokenIds,
    boolean addBos,
    int bosTokenId) {
  public ModelText {
    endTokenIds = Set.copyOf(endTokenIds);
  }
}
