package io.chorale.engine;

import io.chorale.sched.FinishReason;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.IntConsumer;

/** Keeps everything that one sequence got. */
public final class RecordingSink implements TokenSink {
  public final List<Integer> tokens = new ArrayList<>();
  public final List<TokenLogprobs> logprobs = new ArrayList<>();
  public volatile TokenLogprobs[] prompt;
  public volatile TokenUsage usage;
  public volatile String message;
  private final CompletableFuture<FinishReason> end = new CompletableFuture<>();
  private final IntConsumer afterToken;

  public RecordingSink() {
    this(count -> {});
  }

  /**
   * @param afterToken called on the engine thread with the number of tokens so far
   */
  public RecordingSink(IntConsumer afterToken) {
    this.afterToken = afterToken;
  }

  @Override
  public void prompt(TokenLogprobs[] all) {
    prompt = all;
  }

  @Override
  public void token(int tokenId, TokenLogprobs all) {
    tokens.add(tokenId);
    logprobs.add(all);
    afterToken.accept(tokens.size());
  }

  @Override
  public void finished(FinishReason reason, TokenUsage tokenUsage, String why) {
    usage = tokenUsage;
    message = why;
    if (!end.complete(reason)) {
      throw new IllegalStateException("finished twice");
    }
  }

  /** Waits for the end; a minute is for a hung engine, not for a slow one. */
  public FinishReason await() {
    return await(60);
  }

  public FinishReason await(int seconds) {
    try {
      return end.get(seconds, TimeUnit.SECONDS);
    } catch (Exception e) {
      throw new AssertionError("the sequence did not end", e);
    }
  }
}
