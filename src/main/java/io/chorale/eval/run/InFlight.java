package io.chorale.eval.run;

import io.chorale.engine.EngineBusyException;
import io.chorale.engine.EngineLoop;
import io.chorale.engine.GenerationHandle;
import io.chorale.engine.GenerationRequest;
import io.chorale.engine.TokenLogprobs;
import io.chorale.engine.TokenSink;
import io.chorale.engine.TokenUsage;
import io.chorale.eval.EvalException;
import io.chorale.sched.FinishReason;
import io.chorale.sched.SamplingParams;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Requests at the engine, and what it says about them, brought over to the caller's thread. The
 * sinks run on the engine thread and only put events into a queue.
 */
final class InFlight {
  /**
   * One call of a sink.
   *
   * @param job number of the request
   * @param token -1 unless one came
   * @param prompt null unless the prompt's log-probabilities came
   * @param end null unless it ended
   */
  record Event(int job, int token, TokenLogprobs[] prompt, FinishReason end, String message) {}

  private static final long LOOK_S = 1;

  private final EngineLoop loop;
  private final BlockingQueue<Event> events = new LinkedBlockingQueue<>();

  InFlight(EngineLoop loop) {
    this.loop = loop;
  }

  GenerationHandle submit(int job, int[] ids, int candidate, SamplingParams params) {
    TokenSink sink =
        new TokenSink() {
          @Override
          public void prompt(TokenLogprobs[] logprobs) {
            events.add(new Event(job, -1, logprobs, null, null));
          }

          @Override
          public void token(int tokenId, TokenLogprobs logprobs) {
            events.add(new Event(job, tokenId, null, null, null));
          }

          @Override
          public void finished(FinishReason reason, TokenUsage usage, String message) {
            events.add(new Event(job, -1, null, reason, message));
          }
        };
    try {
      return loop.submit(
              List.of(new GenerationRequest(ids, EvalEngine.adapterKey(candidate), params, sink)))
          .get(0);
    } catch (EngineBusyException e) {
      throw new EvalException("the engine is full: " + e.getMessage(), e);
    }
  }

  /**
   * The next event; null after a second without one.
   *
   * @throws EvalException if it is a failure, or the engine thread is gone
   */
  Event next() {
    Event event;
    try {
      event = events.poll(LOOK_S, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new EvalException("interrupted while the engine computes", e);
    }
    if (event == null && !loop.stats().alive()) {
      throw new EvalException("the engine thread has ended; its log says why");
    }
    if (event != null && event.end() == FinishReason.ERROR) {
      throw new EvalException("the engine failed: " + event.message());
    }
    return event;
  }
}
