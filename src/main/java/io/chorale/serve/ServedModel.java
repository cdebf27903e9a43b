package io.chorale.serve;

import io.chorale.text.ChatPrompt;
import io.chorale.text.Tokenizer;
import java.util.Set;

/**
 * The base model as the HTTP layer sees it: a name, text in and out, and bounds. Immutable; any
 * thread.
 *
 * @param id the {@code model} value that means the base without an adapter
 * @param fingerprint identity of the base's weights, hexadecimal; part of {@code
 *     system_fingerprint}
 * @param createdEpochS seconds since 1970, shown in {@code /v1/models}
 * @param chatPrompt null if the model has no chat template: chat is then refused
 * @param endTokenIds any of these ends a generation unless the request says {@code ignore_eos}
 * @param addBos a raw prompt starts with {@code bosTokenId}
 * @param maxModelTokens longest prompt plus completion
 */
public record ServedModel(
    String id,
    String fingerprint,
    long createdEpochS,
    Tokenizer tokenizer,
    ChatPrompt chatPrompt,
    Set<Integer> endTokenIds,
    boolean addBos,
    int bosTokenId,
    int maxModelTokens) {

  public ServedModel {
    if (id.isBlank()) {
      throw new IllegalArgumentException("the served model's id is blank");
    }
    if (maxModelTokens < 2) {
      throw new IllegalArgumentException(
          "maxModelTokens is " + maxModelTokens + ", wanted at least 2");
    }
    endTokenIds = Set.copyOf(endTokenIds);
  }
}
