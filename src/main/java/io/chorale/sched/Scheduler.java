package io.chorale.sched;

import io.chorale.sched.draft.DraftOptions;
import io.chorale.sched.pace.StepPace;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.function.IntPredicate;

/**
 * Decides what each step computes: continuous batching over paged KV blocks, adapters mixed.
 *
 * <p>{@link #schedule} gives every decoding sequence its row, then cuts the prompts of running
 * sequences in chunks, then admits waiting ones, first come first served. KV blocks go to the
 * oldest first: a decode row that finds none preempts the youngest running sequence, which keeps
 * its tokens and computes them again later (vLLM's recompute, arXiv:2309.06180). The oldest running
 * sequence gets at least one row in every step, so all of them finish.
 *
 * <p>A waiting sequence whose adapter finds all loraSlots in use is passed by at most {@link
 * #MAX_SKIPS} later ones; then nobody is admitted before it.
 *
 * <p>{@link #commit} or {@link #failBatch} answers each batch that is not empty before the next
 * {@code schedule}. Engine thread only; not thread-safe.
 */
public final class Scheduler {
  /** Admissions that may pass a sequence that waits for a loraSlot. */
  public static final int MAX_SKIPS = 64;

  private final SchedulerOptions options;
  private final PagedKv kv;
  private final LoraSlotTable loras;
  private final IntPredicate adapterReady;
  private final Drafts drafts;
  private final StepPace pace;
  private final Deque<Sequence> waiting = new ArrayDeque<>();
  private final List<Sequence> running = new ArrayList<>(); // oldest arrival first
  private long arrivals;
  private long preemptions;
  private final ScheduledBatch step = new ScheduledBatch();
  private final List<Sequence> finished = new ArrayList<>();
  private ScheduledBatch inFlight; // null between steps

  /** Without speculation and pace, and any adapter can be seated at any time. */
  public Scheduler(SchedulerOptions options) {
    this(options, DraftOptions.OFF, 0, adapterKey -> true);
  }

  /**
   * @param maxStepMs how long a step with decode rows may take, which bounds the prompts' rows in
   *     it; 0 for no limit
   * @param adapterReady says whether an adapter's weights are at hand, or else brings them; asked
   *     before a sequence is admitted whose adapter is in no loraSlot
   */
  public Scheduler(
      SchedulerOptions options, DraftOptions drafting, int maxStepMs, IntPredicate adapterReady) {
    this.options = options;
    this.adapterReady = adapterReady;
    this.kv = new PagedKv(options);
    this.loras = new LoraSlotTable(options.maxLoras());
    this.drafts = new Drafts(options, drafting, kv);
    this.pace = new StepPace(maxStepMs);
  }

  /**
   * Queues a new sequence.
   *
   * @throws IllegalArgumentException if its prompt and one token can never fit, if it needs a
   *     loraSlot and there is none, or if it was added before
   */
  public void add(Sequence sequence) {
    if (sequence.added()) {
      throw new IllegalArgumentException("sequence %d was added before".formatted(sequence.id()));
    }
    options.requireRoomFor(sequence);
    sequence.arrival = arrivals++;
    waiting.addLast(sequence);
  }

  /** Ends a sequence that was added and frees its blocks; nothing happens if it has ended. */
  public void abort(Sequence sequence, FinishReason reason) {
    Objects.requireNonNull(reason, "reason");
    switch (sequence.state()) {
      case FINISHED -> {}
      case RUNNING -> finish(sequence, reason);
      case WAITING -> {
        if (!waiting.remove(sequence)) {
          throw new IllegalArgumentException("sequence %d is not queued".formatted(sequence.id()));
        }
        sequence.finish(reason);
      }
    }
  }

  /**
   * The next step; empty only if nothing runs, and nothing waits but for its adapter.
   *
   * @return one object, filled anew by the next call
   */
  public ScheduledBatch schedule() {
    if (inFlight != null) {
      throw new IllegalStateException(
          "a batch of %d rows is in flight, wanted commit or failBatch first"
              .formatted(inFlight.totalRows()));
    }
    step.begin(prefillBudget());
    for (int i = 0; i < running.size(); i++) { // preemption only shortens the end
      if (running.get(i).remaining() == 1) {
        decode(i);
      } else {
        prefill(i);
      }
    }
    if (!step.preempts) {
      admitWaiting();
    }
    step.end(step.preempts ? 0 : drafts.add(step.decodes(), step.totalRows(), running.size()));
    inFlight = step.isEmpty() ? null : step;
    return step;
  }

  /** What decode rows leave of a step's rows and of its time. */
  private int prefillBudget() {
    int decodes = 0;
    long positions = 0;
    int start = 0;
    for (int i = running.size() - 1; i >= 0; i--) {
      Sequence sequence = running.get(i);
      if (sequence.remaining() == 1) {
        decodes++;
        positions += sequence.length();
      } else {
        start = sequence.computedTokens(); // of the oldest in the end
      }
    }
    return Math.min(
        options.maxBatchTokens() - decodes, pace.prefillRows(decodes, positions, start));
  }

  private ScheduledRows rows(Sequence sequence, int count) {
    kv.cover(sequence, sequence.computedTokens() + count);
    return sequence.rows().next(count, loras.slotOf(sequence.adapterKey()));
  }

  private void decode(int i) {
    Sequence sequence = running.get(i);
    while (kv.rowsThatFit(sequence, 0) < 1) {
      if (preemptYoungest() == sequence) {
        return;
      }
    }
    step.decode(rows(sequence, 1));
  }

  /** A chunk of what the free blocks allow; only the oldest takes blocks from others. */
  private void prefill(int i) {
    Sequence sequence = running.get(i);
    int wanted =
        Math.min(sequence.remaining(), Math.min(options.prefillChunkTokens(), step.prefillBudget));
    if (wanted < 1) {
      return;
    }
    int fit = kv.rowsThatFit(sequence, blocksForDecodesAfter(i));
    if (fit < 1 && i == 0) {
      fit = kv.rowsThatFit(sequence, 0);
      while (fit < 1) {
        preemptYoungest(); // never itself: alone it fits, by the check in add
        fit = kv.rowsThatFit(sequence, 0);
      }
    }
    if (fit >= 1) {
      step.prefill(rows(sequence, Math.min(wanted, fit)));
    }
  }

  private void admitWaiting() {
    if (waiting.isEmpty() || running.size() == options.maxRunning()) {
      return; // as most steps do: no garbage
    }
    List<Sequence> passed = new ArrayList<>();
    Iterator<Sequence> queue = waiting.iterator();
    while (queue.hasNext() && running.size() < options.maxRunning() && step.prefillBudget > 0) {
      Sequence sequence = queue.next();
      if (sequence.hasAdapter() && !loras.canSeat(sequence.adapterKey())) {
        if (sequence.skips >= MAX_SKIPS) {
          return;
        }
        passed.add(sequence);
      } else if (!isAdapterAtHand(sequence)) {
        continue; // it holds nobody up, and its turn comes with its adapter
      } else if (admit(sequence)) {
        queue.remove();
        passed.forEach(each -> each.skips++);
      } else {
        return;
      }
    }
  }

  private boolean isAdapterAtHand(Sequence sequence) {
    return !sequence.hasAdapter()
        || loras.slotOf(sequence.adapterKey()) != LoraSlotTable.NO_LORA
        || adapterReady.test(sequence.adapterKey());
  }

  /** Starts a sequence if the blocks of its next chunk can be had. */
  private boolean admit(Sequence sequence) {
    List<PrefixIndex.Entry> hits = kv.cachedPrefix(sequence);
    int cached = kv.tokensOf(hits);
    int chunk =
        Math.min(
            sequence.length() - cached, Math.min(options.prefillChunkTokens(), step.prefillBudget));
    // A preempted sequence takes all its blocks at once, or it might be sent away again and again.
    int end = sequence.preemptions() > 0 ? sequence.length() : cached + chunk;
    if (!kv.canHold(end, hits)) {
      return false;
    }
    kv.share(sequence, hits);
    kv.cover(sequence, end);
    if (sequence.hasAdapter()) {
      loras.seat(sequence.adapterKey(), step.seats());
    }
    sequence.run(cached);
    insertByArrival(sequence);
    step.prefill(rows(sequence, chunk));
    return true;
  }

  /**
   * Takes the results of a step: the KV of its rows is in place, full blocks become shareable, the
   * sampled tokens are appended and may end their sequence. Rows of sequences aborted meanwhile are
   * passed over.
   *
   * @param sampled one cell per sampling row of {@code batch}, in that order: a token id, or -1 in
   *     the rows after the first wrong draft; cells after a token that ended its sequence become -1
   * @return the sequences that ended now, in row order; one list, filled anew by the next call
   */
  public List<Sequence> commit(ScheduledBatch batch, int[] sampled) {
    requireInFlight(batch);
    if (batch.samplingRows() != sampled.length) {
      throw new IllegalArgumentException(
          "%d tokens for a batch that samples %d".formatted(sampled.length, batch.samplingRows()));
    }
    finished.clear();
    int first = 0;
    for (int i = 0; i < batch.rows().size(); i++) {
      ScheduledRows rows = batch.rows().get(i);
      Sequence sequence = rows.sequence();
      if (sequence.state() == SequenceState.RUNNING) {
        FinishReason reason =
            sequence.append(sampled, first, rows.samplingRows(), options.maxSequenceTokens());
        sequence.computed(rows.samples() ? sequence.length() - 1 : rows.start() + rows.count());
        kv.indexFullBlocks(sequence);
        if (reason != null) {
          finish(sequence, reason);
          finished.add(sequence);
        }
      }
      first += rows.samplingRows();
    }
    inFlight = null;
    return finished;
  }

  /** Tells how long a step took, by which speculation and the pace of prompts are decided. */
  public void took(ScheduledBatch batch, long nanos) {
    drafts.cost().observe(batch.totalRows(), nanos);
    int decodes = batch.decodeRows();
    pace.observe(decodes, batch.totalRows() - decodes, batch.positions(), nanos);
  }

  /** The step threw: its sequences end with ERROR; what it wrote is not kept, seated or shared. */
  public void failBatch(ScheduledBatch batch) {
    requireInFlight(batch);
    for (ScheduledRows rows : batch.rows()) {
      if (rows.sequence().state() == SequenceState.RUNNING) {
        finish(rows.sequence(), FinishReason.ERROR);
      }
    }
    // A slot may be half filled. All that use it were admitted in this batch, so it is idle now.
    batch.seatings().forEach(seating -> loras.vacate(seating.adapterKey()));
    inFlight = null;
  }

  /**
   * Forgets an adapter version: empties its loraSlot and drops its cached prefixes.
   *
   * @return the loraSlot that is empty now, or -1 if the adapter had none
   * @throws IllegalStateException if a sequence that has not ended needs it
   */
  public int retireAdapter(int adapterKey) {
    if (adapterKey < 0) {
      throw new IllegalArgumentException(
          "adapterKey is %d, wanted 0 or more".formatted(adapterKey));
    }
    if (runningAdapterKeys().contains(adapterKey) || waitingAdapterKeys().contains(adapterKey)) {
      throw new IllegalStateException(
          "adapter %d is retired but running or waiting sequences need it; end them first"
              .formatted(adapterKey));
    }
    int loraSlot = loras.vacate(adapterKey);
    kv.forget(adapterKey);
    return loraSlot;
  }

  public boolean hasWork() {
    return !waiting.isEmpty() || !running.isEmpty();
  }

  public int waiting() {
    return waiting.size();
  }

  public int running() {
    return running.size();
  }

  public BlockAllocator.Counts blocks() {
    return kv.counts();
  }

  /** Adapters in a loraSlot, in slot order. */
  public List<Integer> residentAdapterKeys() {
    return loras.residents();
  }

  /** Adapters of running sequences, ascending; the base model is not among them. */
  public List<Integer> runningAdapterKeys() {
    return LoraSlotTable.keysOf(running);
  }

  /** Adapters of waiting sequences, ascending; the base model is not among them. */
  public List<Integer> waitingAdapterKeys() {
    return LoraSlotTable.keysOf(waiting);
  }

  public long preemptions() {
    return preemptions;
  }

  /**
   * Checks blocks, tables, the prefix index and loraSlots against each other; costs one pass over
   * all of them.
   *
   * @throws IllegalStateException naming what is off
   */
  public void checkIntegrity() {
    running.forEach(each -> each.requireState(SequenceState.RUNNING));
    waiting.forEach(each -> each.requireState(SequenceState.WAITING));
    kv.check(running);
    loras.check(running);
  }

  private int blocksForDecodesAfter(int i) {
    int count = 0;
    for (int later = i + 1; later < running.size(); later++) {
      Sequence sequence = running.get(later);
      count += sequence.remaining() == 1 && kv.isFull(sequence) ? 1 : 0;
    }
    return count;
  }

  private Sequence preemptYoungest() {
    step.preempts = true;
    Sequence youngest = running.remove(running.size() - 1);
    release(youngest);
    youngest.preempt();
    waiting.addFirst(youngest);
    preemptions++;
    return youngest;
  }

  private void insertByArrival(Sequence sequence) {
    int at = running.size();
    for (; at > 0 && running.get(at - 1).arrival > sequence.arrival; at--) {}
    running.add(at, sequence);
  }

  private void finish(Sequence sequence, FinishReason reason) {
    running.remove(sequence);
    release(sequence);
    sequence.finish(reason);
  }

  private void release(Sequence sequence) {
    kv.release(sequence);
    if (sequence.hasAdapter()) {
      loras.leave(sequence.adapterKey());
    }
  }

  private void requireInFlight(ScheduledBatch batch) {
    if (batch != inFlight) {
      throw new IllegalStateException(
          "batch of %d rows is not in flight".formatted(batch.totalRows()));
    }
  }
}
