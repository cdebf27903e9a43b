package io.chorale.sched;

import java.util.Arrays;
import java.util.Map;
import java.util.Set;

/** Sequences and options that the tests of this package start from. */
final class Sequences {
  private static long nextId;

  private Sequences() {}

  /** Blocks of 4 tokens, 4 running, 16 rows a step, chunks of 8, 2 loraSlots, prefix cache on. */
  static SchedulerOptions options(int blocks) {
    return new SchedulerOptions(16, 4, 4, blocks, 2, 1000, 8, true);
  }

  /** A sequence on the base model whose prompt is {@code first, first + 1, ...}. */
  static Sequence base(int first, int promptTokens, int maxTokens) {
    return adapted(-1, first, promptTokens, maxTokens);
  }

  static Sequence adapted(int adapterKey, int first, int promptTokens, int maxTokens) {
    return of(adapterKey, prompt(first, promptTokens), SamplingParams.greedy(maxTokens, Set.of()));
  }

  static Sequence withPromptLogprobs(int first, int promptTokens) {
    return of(
        -1,
        prompt(first, promptTokens),
        new SamplingParams(0, 1, 0, 0, 1, 0, 0, Map.of(), 0, Set.of(), 1, 0, 0, true));
  }

  static Sequence of(int adapterKey, int[] prompt, SamplingParams params) {
    return new Sequence(nextId++, prompt, adapterKey, params);
  }

  static int[] prompt(int first, int tokens) {
    int[] prompt = new int[tokens];
    for (int i = 0; i < tokens; i++) {
      prompt[i] = first + i;
    }
    return prompt;
  }

  /** Schedules and commits one step in which every sampled token is {@code token}. */
  static ScheduledBatch step(Scheduler scheduler, int token) {
    ScheduledBatch batch = scheduler.schedule();
    commit(scheduler, batch, token);
    return batch;
  }

  static void commit(Scheduler scheduler, ScheduledBatch batch, int token) {
    int[] sampled = new int[batch.samplingRows()];
    Arrays.fill(sampled, token);
    scheduler.commit(batch, sampled);
  }

  static void drain(Scheduler scheduler) {
    while (scheduler.hasWork()) {
      step(scheduler, 1);
    }
  }
}
