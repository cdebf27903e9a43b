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
  private long failedSteps;
  private double lastStepMs;

  EngineCounters(SchedulerOptions options) {
    this.options = options;
  }

  void step(ScheduledBatch batch, ModelRunner.Result result, long nanos) {
    steps++;
    lastStepMs = nanos / 1e6;
    generatedTokens += result.tokens().length;
    for (ScheduledRows rows : batch.rows()) {
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
        scheduler.preemptions(),
        failedSteps,
        lastStepMs);
  }
}
