package io.chorale.app;

import io.chorale.engine.Engine;
import io.chorale.engine.EngineBusyException;
import io.chorale.engine.GenerationRequest;
import io.chorale.engine.TokenLogprobs;
import io.chorale.engine.TokenSink;
import io.chorale.engine.TokenUsage;
import io.chorale.sched.FinishReason;
import io.chorale.sched.SamplingParams;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jboss.logging.Logger;

/**
 * Generates one token with the base model before the port opens: the first use of every operation
 * is slow, and a model that cannot compute should stop the start, not the first request.
 */
final class WarmUp {
  private static final Logger LOG = Logger.getLogger(WarmUp.class);
  private static final int TICK_S = 2;

  private WarmUp() {}

  /**
   * @throws IllegalStateException with the engine's own words if it cannot
   */
  static void run(Engine engine) {
    long start = System.nanoTime();
    CompletableFuture<FinishReason> end = new CompletableFuture<>();
    submit(engine, end);
    while (true) {
      try {
        end.get(TICK_S, TimeUnit.SECONDS);
        LOG.infof("warmed up took_ms=%d", (System.nanoTime() - start) / 1_000_000);
        return;
      } catch (TimeoutException e) {
        LOG.infof("warming up elapsed_ms=%d", (System.nanoTime() - start) / 1_000_000);
      } catch (ExecutionException e) {
        throw new IllegalStateException(e.getCause().getMessage(), e);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException("interrupted while warming up", e);
      }
    }
  }

  private static void submit(Engine engine, CompletableFuture<FinishReason> end) {
    TokenSink sink =
        new TokenSink() {
          @Override
          public void token(int tokenId, TokenLogprobs logprobs) {}

          @Override
          public void finished(FinishReason reason, TokenUsage usage, String message) {
            if (reason == FinishReason.ERROR) {
              end.completeExceptionally(new IllegalStateException("warm-up failed: " + message));
            } else {
              end.complete(reason);
            }
          }
        };
    try {
      engine.submit(
          List.of(
              new GenerationRequest(
                  new int[] {0}, // every vocabulary has a token 0
                  GenerationRequest.BASE,
                  SamplingParams.greedy(1, Set.of()),
                  sink)));
    } catch (EngineBusyException e) {
      throw new IllegalStateException("warm-up failed: " + e.getMessage(), e);
    }
  }
}
