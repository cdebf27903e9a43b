package io.chorale.engine;

import io.chorale.sched.FinishReason;

/**
 * Where one sequence's tokens go. Called on the engine thread, so it only hands over (no text, no
 * JSON, no socket, no waiting); a sink that throws aborts its own sequence and nothing else.
 *
 * <p>Calls come in this order: at most one {@link #prompt}, any number of {@link #token}, exactly
 * one {@link #finished}.
 */
public interface TokenSink {

  /** The prompt's log-probabilities, only if asked for; entry 0 (no context) is null. */
  default void prompt(TokenLogprobs[] logprobs) {}

  /**
   * One generated token.
   *
   * @param logprobs null unless asked for
   */
  void token(int tokenId, TokenLogprobs logprobs);

  /**
   * The end of the sequence; nothing follows.
   *
   * @param message what went wrong, only with {@link FinishReason#ERROR}, else null
   */
  void finished(FinishReason reason, TokenUsage usage, String message);
}
