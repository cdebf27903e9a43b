package io.chorale.engine;

import io.chorale.sched.Sequence;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/** One request inside the engine: its sequence, its sink and its sampling state. Engine thread. */
final class Generation {
  private static final RandomGeneratorFactory<RandomGenerator> RANDOM =
      RandomGeneratorFactory.of("L64X128MixRandom");

  final Sequence sequence;
  final TokenSink sink;
  final RandomGenerator random;

  /** Counted in the bounded queue until its first step. */
  boolean queued = true;

  /** Set once the sink was told the end, or threw. */
  boolean ended;

  /** The prompt's log-probabilities so far; null unless asked for or already delivered. */
  TokenLogprobs[] promptLogprobs;

  Generation(long id, GenerationRequest request) {
    this.sequence =
        new Sequence(
            id, request.promptIds(), request.adapterKey(), request.params(), request.drafting());
    this.sink = request.sink();
    this.random = RANDOM.create(request.params().seed());
    this.promptLogprobs =
        request.params().promptLogprobs() ? new TokenLogprobs[request.promptIds().length] : null;
  }
}
