package io.chorale.eval.task;

import io.chorale.eval.EvalException;
import io.chorale.eval.run.EvalEngine;
import io.chorale.eval.run.ModelText;
import io.chorale.text.Tokenizer;
import java.util.Arrays;

/**
 * Context and continuation to tokens, as the harness' causal models do it: the context's trailing
 * blanks move to the continuation, both are encoded as one text, and the continuation is what comes
 * after as many tokens as the context alone has. Too long a text loses its beginning.
 */
final class PairEncoder {
  private final Tokenizer tokenizer;
  private final ModelText model;
  private final int maxTokens;

  PairEncoder(EvalEngine engine) {
    this.model = engine.text();
    this.tokenizer = model.tokenizer();
    this.maxTokens = engine.maxTokens();
  }

  /**
   * @param place for messages
   */
  EvalEngine.Span encode(
      String place, String context, String continuation, int candidate, long family) {
    if (context.isEmpty()) {
      return cut(place, withoutContext(place, continuation), 1, candidate, family);
    }
    int blanks = PyText.trailing(context);
    String before = context.substring(0, context.length() - blanks);
    String after = context.substring(context.length() - blanks) + continuation;
    int[] whole = encode(before + after);
    int split = encode(before).length;
    return cut(place, whole, split, candidate, family);
  }

  private int[] encode(String text) {
    int[] ids = tokenizer.encode(text, true);
    return model.addBos() ? prefixed(model.bosTokenId(), ids) : ids;
  }

  /** The harness conditions a text without context on the BOS token, else on the end token. */
  private int[] withoutContext(String place, String continuation) {
    int[] ids = tokenizer.encode(continuation, true);
    int prefix =
        model.bosTokenId() >= 0
            ? model.bosTokenId()
            : model.endTokenIds().stream().mapToInt(Integer::intValue).min().orElse(-1);
    if (prefix < 0) {
      throw new EvalException(place + ": has no context, and the model no token to begin with");
    }
    return ids.length > 0 && ids[0] == prefix ? ids : prefixed(prefix, ids);
  }

  private static int[] prefixed(int first, int[] ids) {
    int[] all = new int[ids.length + 1];
    all[0] = first;
    System.arraycopy(ids, 0, all, 1, ids.length);
    return all;
  }

  private EvalEngine.Span cut(String place, int[] whole, int split, int candidate, long family) {
    int dropped = Math.max(0, whole.length - (maxTokens + 1));
    int from = split - dropped;
    if (split < 1 || split >= whole.length || from < 1) {
      throw new EvalException(
          "%s: the choice has %d tokens after %d of the context (model context %d), wanted some of both"
              .formatted(place, whole.length - split, split, maxTokens));
    }
    return new EvalEngine.Span(
        Arrays.copyOfRange(whole, dropped, whole.length), from, candidate, family);
  }
}
