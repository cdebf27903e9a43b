package io.chorale.engine;

import io.chorale.kernel.Ops;
import io.chorale.lora.PreparedAdapters;
import io.chorale.sched.FinishReason;
import io.chorale.sched.ScheduledBatch;
import io.chorale.sched.ScheduledRows;
import io.chorale.sched.Scheduler;
import io.chorale.sched.SchedulerOptions;
import io.chorale.sched.Sequence;
import io.chorale.sched.SequenceState;
import io.chorale.sched.draft.DraftOptions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import org.jboss.logging.Logger;

/**
 * The engine thread: drains its inbox, schedules a step, runs it, hands the tokens out, again;
 * parks when there is nothing to do. Owns scheduler and runner; everything else reaches them
 * through {@link Command}s. A step that throws ends its own sequences with {@link
 * FinishReason#ERROR} and the engine goes on.
 */
public final class EngineLoop implements Engine, AutoCloseable {
  private static final Logger LOG = Logger.getLogger(EngineLoop.class);

  /** Snapshots while nothing begins or ends: seldom, since each is garbage. */
  static final long SNAPSHOT_NANOS = 200_000_000;

  /**
   * Bounds of the engine.
   *
   * @param maxQueued sequences that may wait for their first step; more are refused
   * @param drainMs how long {@link #close} lets running sequences finish
   * @param drafting bounds of speculation
   * @param maxStepMs how long a step with decode rows may take; 0 for no limit
   */
  public record Options(int maxQueued, long drainMs, DraftOptions drafting, int maxStepMs) {
    /** Without speculation, and as many rows of prompts in a step as fit. */
    public Options(int maxQueued, long drainMs) {
      this(maxQueued, drainMs, DraftOptions.OFF, 0);
    }

    public Options {
      if (maxQueued < 1) {
        throw new IllegalArgumentException(
            "maxQueued is %d, wanted 1 or more".formatted(maxQueued));
      }
    }
  }

  /** What other threads ask of the engine thread; taken from the inbox between two steps. */
  private sealed interface Command {
    record Submit(List<Generation> generations) implements Command {}

    record Abort(Generation generation) implements Command {}

    record Retire(int adapterKey) implements Command {}

    /** End the thread: running sequences are aborted. */
    record Stop() implements Command {}
  }

  private final Scheduler scheduler;
  private final ModelRunner runner;
  private final PreparedAdapters adapters;
  private final Options options;
  private final int maxModelTokens;
  private final ConcurrentLinkedQueue<Command> inbox = new ConcurrentLinkedQueue<>();
  private final AtomicInteger queued = new AtomicInteger();
  private final AtomicLong nextId = new AtomicLong();
  private final Map<Sequence, Generation> generations = new HashMap<>();
  private final Function<Sequence, Generation> owners = generations::get;
  private final EngineCounters counters;
  private final Thread thread;
  private volatile EngineStats stats;
  private volatile boolean accepting = true;
  private boolean stopping;
  private boolean ended; // a sequence, since the last snapshot
  private long published;

  /** Starts the thread at once; the loop owns the runner from here on. */
  public EngineLoop(SchedulerOptions scheduling, ModelRunner runner, Options options) {
    this.runner = runner;
    this.adapters = runner.adapters();
    this.scheduler =
        new Scheduler(scheduling, options.drafting(), options.maxStepMs(), adapters::isReady);
    this.options = options;
    this.counters = new EngineCounters(scheduling);
    this.maxModelTokens = (int) scheduling.maxSequenceTokens();
    this.stats = counters.snapshot(true, scheduler);
    this.thread = new Thread(this::run, "chorale-engine");
    adapters.wakeBy(() -> LockSupport.unpark(thread));
    this.thread.start();
  }

  @Override
  public List<GenerationHandle> submit(List<GenerationRequest> requests)
      throws EngineBusyException {
    if (!accepting) {
      throw new IllegalStateException("the engine has stopped");
    }
    int before = queued.getAndAdd(requests.size());
    if (before + requests.size() > options.maxQueued()) {
      queued.addAndGet(-requests.size());
      throw new EngineBusyException(before, options.maxQueued());
    }
    List<Generation> made = new ArrayList<>(requests.size());
    List<GenerationHandle> handles = new ArrayList<>(requests.size());
    for (GenerationRequest request : requests) {
      Generation generation = new Generation(nextId.incrementAndGet(), request);
      made.add(generation);
      handles.add(() -> post(new Command.Abort(generation)));
    }
    post(new Command.Submit(made));
    return handles;
  }

  @Override
  public void retire(int adapterKey) {
    post(new Command.Retire(adapterKey));
  }

  @Override
  public EngineStats stats() {
    return stats;
  }

  @Override
  public int maxModelTokens() {
    return maxModelTokens;
  }

  private void post(Command command) {
    inbox.add(command);
    LockSupport.unpark(thread);
  }

  private void run() {
    try (Ops.ThreadBinding binding = runner.bindThread()) {
      boolean idle = true;
      while (!stopping) {
        if (idle && inbox.isEmpty() && !adapters.hasNews()) {
          LockSupport.park(this);
        }
        boolean told = drainInbox();
        takeAdapterNews();
        idle = !scheduler.hasWork() || stopping || !step();
        publish(told || idle || ended);
      }
    } catch (Throwable e) {
      LOG.errorf(e, "engine thread died");
    } finally {
      accepting = false;
      drainInbox();
      endAll("the engine has stopped");
      runner.close();
      stats = counters.snapshot(false, scheduler);
    }
  }

  /** Takes a snapshot if something began or ended, else now and then. */
  private void publish(boolean changed) {
    long now = System.nanoTime();
    if (changed || now - published > SNAPSHOT_NANOS) {
      stats = counters.snapshot(true, scheduler);
      published = now;
      ended = false;
    }
  }

  /** False if it was empty. */
  private boolean drainInbox() {
    boolean any = !inbox.isEmpty();
    for (Command command = inbox.poll(); command != null; command = inbox.poll()) {
      if (command instanceof Command.Submit submit) {
        submit.generations().forEach(this::admit);
      } else if (command instanceof Command.Abort abort) {
        abort(abort.generation());
      } else if (command instanceof Command.Retire retire) {
        retireNow(retire.adapterKey());
      } else {
        stopping = true;
      }
    }
    return any;
  }

  private void retireNow(int adapterKey) {
    try {
      int loraSlot = scheduler.retireAdapter(adapterKey);
      if (loraSlot >= 0) {
        adapters.clear(loraSlot);
      }
      adapters.retire(adapterKey);
    } catch (IllegalStateException e) {
      // A lease was returned while its sequence still runs: keep the adapter, say so.
      LOG.errorf("adapter not retired key=%d reason=%s", adapterKey, e.getMessage());
    }
  }

  private void admit(Generation generation) {
    try {
      scheduler.add(generation.sequence);
      generations.put(generation.sequence, generation);
      if (generation.sequence.adapterKey() != GenerationRequest.BASE) {
        adapters.use(generation.sequence.adapterKey());
      }
    } catch (IllegalArgumentException e) {
      end(generation, FinishReason.ERROR, e.getMessage());
    }
  }

  private void abort(Generation generation) {
    if (generations.containsKey(generation.sequence)) {
      scheduler.abort(generation.sequence, FinishReason.ABORT);
      end(generation, FinishReason.ABORT, null);
    }
  }

  /** Seats wait for what was prepared; an adapter that could not be ends its own sequences. */
  private void takeAdapterNews() {
    for (var failure = adapters.takeNews(); failure != null; failure = adapters.takeNews()) {
      for (Generation generation : List.copyOf(generations.values())) {
        if (generation.sequence.adapterKey() == failure.adapterKey()) {
          scheduler.abort(generation.sequence, FinishReason.ERROR);
          end(generation, FinishReason.ERROR, failure.message());
        }
      }
    }
  }

  /** False if all that waits waits for its adapter to be prepared. */
  private boolean step() {
    assertOnEngineThread();
    ScheduledBatch batch = scheduler.schedule();
    if (batch.isEmpty()) {
      if (adapters.isBusy()) {
        return false;
      }
      throw new IllegalStateException(
          "nothing schedulable among %d waiting and %d running sequences"
              .formatted(scheduler.waiting(), scheduler.running()));
    }
    for (int i = 0; i < batch.rows().size(); i++) {
      leaveQueue(generations.get(batch.rows().get(i).sequence()));
    }
    long start = System.nanoTime();
    ModelRunner.Result result;
    try {
      result = runner.run(batch, owners);
    } catch (RuntimeException | OutOfMemoryError e) {
      fail(batch, e);
      return true;
    }
    List<Sequence> finished = scheduler.commit(batch, result.tokens());
    long nanos = System.nanoTime() - start;
    scheduler.took(batch, nanos);
    counters.step(batch, result, nanos);
    deliver(batch, result);
    for (int i = 0; i < finished.size(); i++) {
      Sequence sequence = finished.get(i);
      Generation generation = generations.get(sequence);
      if (generation != null) {
        end(generation, sequence.finishReason(), null);
      }
    }
    return true;
  }

  private void deliver(ScheduledBatch batch, ModelRunner.Result result) {
    int first = 0;
    for (int i = 0; i < batch.rows().size(); i++) {
      ScheduledRows rows = batch.rows().get(i);
      if (rows.samples()) {
        deliver(generations.get(rows.sequence()), result, first, rows.samplingRows());
        first += rows.samplingRows();
      }
    }
  }

  /** Hands out the tokens of one sequence's cells but for the one that stopped it. */
  private void deliver(Generation generation, ModelRunner.Result result, int first, int cells) {
    Sequence sequence = generation.sequence;
    boolean ended = sequence.state() == SequenceState.FINISHED;
    int tokens = 0;
    while (tokens < cells && result.tokens()[first + tokens] >= 0) {
      tokens++;
    }
    if (ended && sequence.finishReason() == FinishReason.STOP) {
      tokens--;
    }
    try {
      if (generation.promptLogprobs != null) {
        generation.sink.prompt(generation.promptLogprobs);
        generation.promptLogprobs = null;
      }
      for (int i = first; i < first + tokens; i++) {
        generation.sink.token(result.tokens()[i], result.logprobs()[i]);
      }
    } catch (RuntimeException e) {
      LOG.warnf(e, "token sink failed sequence=%d", sequence.id());
      if (!ended) {
        scheduler.abort(sequence, FinishReason.ABORT);
      }
      end(generation, FinishReason.ABORT, null);
    }
  }

  private void fail(ScheduledBatch batch, Throwable cause) {
    counters.failedStep();
    LOG.errorf(cause, "step failed batch=%s", ModelRunner.describe(batch));
    List<Generation> hit = new ArrayList<>();
    batch.rows().forEach(rows -> hit.add(generations.get(rows.sequence())));
    scheduler.failBatch(batch);
    // The scheduler takes these slots for empty again.
    batch.seatings().forEach(seating -> adapters.clear(seating.loraSlot()));
    String message = "%s failed: %s".formatted(ModelRunner.describe(batch), cause.getMessage());
    hit.forEach(generation -> end(generation, FinishReason.ERROR, message));
  }

  private void endAll(String message) {
    for (Generation generation : List.copyOf(generations.values())) {
      scheduler.abort(generation.sequence, FinishReason.ERROR);
      end(generation, FinishReason.ERROR, message);
    }
  }

  private void leaveQueue(Generation generation) {
    if (generation.queued) {
      generation.queued = false;
      queued.decrementAndGet();
    }
  }

  private void end(Generation generation, FinishReason reason, String message) {
    ended = true;
    boolean admitted = generations.remove(generation.sequence) != null;
    if (admitted && generation.sequence.adapterKey() != GenerationRequest.BASE) {
      adapters.leave(generation.sequence.adapterKey());
    }
    leaveQueue(generation);
    if (generation.ended) {
      return;
    }
    generation.ended = true;
    Sequence sequence = generation.sequence;
    try {
      generation.sink.finished(
          reason,
          new TokenUsage(
              sequence.promptTokens(), sequence.cachedTokens(), sequence.generatedTokens()),
          message);
    } catch (RuntimeException e) {
      LOG.warnf(e, "token sink failed at the end of sequence=%d", sequence.id());
    }
  }

  private void assertOnEngineThread() {
    if (Thread.currentThread() != thread) {
      throw new IllegalStateException("engine state touched by " + Thread.currentThread());
    }
  }

  /** Takes no more, lets running sequences finish for a while, ends the thread, frees memory. */
  @Override
  public void close() {
    accepting = false;
    long deadline = System.nanoTime() + options.drainMs() * 1_000_000;
    try {
      while (thread.isAlive() && busy() && System.nanoTime() < deadline) {
        Thread.sleep(10);
      }
      post(new Command.Stop());
      thread.join();
    } catch (InterruptedException e) {
      post(new Command.Stop());
      Thread.currentThread().interrupt();
    }
  }

  private boolean busy() {
    EngineStats now = stats;
    return queued.get() > 0 || now.runningSequences() + now.waitingSequences() > 0;
  }
}
