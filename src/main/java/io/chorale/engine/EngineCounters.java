package io.chorale.engine;

import io.chorale.sched.BlockAllocator;
import io.chorale.sched.ScheduledBatch;
import io.chorale.sched.ScheduledRows;
import io.chorale.sched.Scheduler;
import io.chorale.sched.SchedulerOptions;

/** Running totals of the engine thread, and the snapshot that others read. */
final class EngineCounters {
  private final SchedulerOptions options;
  private long steps;
  private long promptTokens;
  private long cachedPromptTokens;
  private long generatedTokens;
  private long draftedTokens;
  private long acceptedDraftTokens;
  private long failedSteps;
  private double lastStepMs;

  EngineCounters(SchedulerOptions options) {
    this.options = options;
  }

  /** After the scheduler has taken the result. */
  void step(ScheduledBatch batch, ModelRunner.Result result, long nanos) {
    steps++;
    lastStepMs = nanos / 1e6;
    int sampled = 0;
    for (int token : result.tokens()) {
      sampled += token >= 0 ? 1 : 0;
    }
    generatedTokens += sampled;
    acceptedDraftTokens += sampled; // less one for each sequence that sampled
    for (int i = 0; i < batch.rows().size(); i++) {
      ScheduledRows rows = batch.rows().get(i);
      draftedTokens += rows.drafts();
      acceptedDraftTokens -= rows.samples() ? 1 : 0;
      int promptEnd = Math.min(rows.start() + rows.count(), rows.sequence().promptTokens());
      promptTokens += Math.max(0, promptEnd - rows.start());
      if (rows.samples() && rows.sequence().generatedTokens() == 1) {
        cachedPromptTokens += rows.sequence().cachedTokens();
      }
    }
  }

  void failedStep() {
    failedSteps++;
  }

  EngineStats snapshot(boolean alive, Scheduler scheduler) {
    BlockAllocator.Counts blocks = scheduler.blocks();
    return new EngineStats(
        alive,
        scheduler.waiting(),
        scheduler.running(),
        blocks.free(),
        blocks.cached(),
        blocks.used(),
        blocks.total(),
        options.blockTokens(),
        options.maxLoras(),
        scheduler.residentAdapterKeys(),
        scheduler.runningAdapterKeys(),
        scheduler.waitingAdapterKeys(),
        steps,
        promptTokens,
        cachedPromptTokens,
        generatedTokens,
        draftedTokens,
        acceptedDraftTokens,
        scheduler.preemptions(),
        failedSteps,
        lastStepMs);
  }
}
