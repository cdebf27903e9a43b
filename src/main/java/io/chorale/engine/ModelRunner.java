package io.chorale.engine;

import io.chorale.kernel.ForwardInputs;
import io.chorale.kernel.KvPages;
import io.chorale.kernel.Ops;
import io.chorale.lora.LoraSlots;
import io.chorale.lora.LoraSource;
import io.chorale.lora.PreparedAdapters;
import io.chorale.model.CausalLm;
import io.chorale.sched.ScheduledBatch;
import io.chorale.sched.ScheduledRows;
import io.chorale.sched.Seating;
import io.chorale.sched.Sequence;
import java.util.Arrays;
import java.util.function.Function;

/**
 * Turns a {@link ScheduledBatch} into one forward pass and the sampled tokens: newly seated
 * adapters are placed in their loraSlots, ids and counts become {@link ForwardInputs}, logits
 * become tokens. Engine thread.
 */
public final class ModelRunner implements AutoCloseable {
  /**
   * What one step sampled.
   *
   * @param tokens one cell per sampling row, in row order; -1 after the first wrong draft
   * @param logprobs beside it; null entries where not asked for
   */
  record Result(int[] tokens, TokenLogprobs[] logprobs) {}

  private static final int NOT_REACHED = -1;

  private final CausalLm model;
  private final KvPages pages;
  private final PreparedAdapters adapters;
  private final int blockTokens;
  private final Sampler sampler;

  // Of the step that runs, kept for the next one: a step makes no garbage.
  private final StepInputs step = new StepInputs();
  private final CausalLm.LogitsConsumer consumer = this::use;
  private Function<Sequence, Generation> owners;
  private Result result = new Result(new int[0], new TokenLogprobs[0]);

  /**
   * @param kvBlocks blocks of {@code blockTokens} positions
   * @param maxLoras resident adapters
   * @param adapterCacheBytes of prepared adapters that have no loraSlot
   */
  public ModelRunner(
      CausalLm model,
      LoraSource loraSource,
      int kvBlocks,
      int blockTokens,
      int maxLoras,
      long adapterCacheBytes) {
    this.model = model;
    this.blockTokens = blockTokens;
    this.pages = model.kvPages(kvBlocks * blockTokens);
    this.adapters =
        new PreparedAdapters(
            new LoraSlots(model.loraTable(maxLoras), model.spec().layers()),
            loraSource,
            model.ops()::bindThread,
            adapterCacheBytes);
    this.sampler = new Sampler(model.spec().vocab());
  }

  /** Prepares the engine thread. */
  Ops.ThreadBinding bindThread() {
    return model.ops().bindThread();
  }

  /**
   * Runs the batch.
   *
   * @param generations the request behind a sequence
   * @return filled anew by the next step
   */
  Result run(ScheduledBatch batch, Function<Sequence, Generation> generations) {
    for (int i = 0; i < batch.seatings().size(); i++) {
      Seating seating = batch.seatings().get(i);
      adapters.seat(seating.loraSlot(), seating.adapterKey());
    }
    owners = generations;
    step.fill(batch, blockTokens, generations);
    if (result.tokens().length != step.samples()) {
      result = new Result(new int[step.samples()], new TokenLogprobs[step.samples()]);
    }
    Arrays.fill(result.tokens(), NOT_REACHED);
    Arrays.fill(result.logprobs(), null);
    model.forward(step.inputs(), adapters.table(), pages, consumer);
    return result;
  }

  private void use(int first, int rows, float[] logits) {
    for (int i = 0; i < rows; i++) {
      use(first + i, logits, i * model.spec().vocab());
    }
  }

  private void use(int logitRow, float[] logits, int offset) {
    ScheduledRows rows = step.rowsOf(logitRow);
    Generation generation = owners.apply(rows.sequence());
    int position = step.positionOf(logitRow);
    int vocab = model.spec().vocab();
    int top = rows.sequence().params().logprobs();
    if (generation.promptLogprobs != null && position + 1 < generation.promptLogprobs.length) {
      int next = rows.sequence().token(position + 1);
      generation.promptLogprobs[position + 1] =
          Sampler.logprobs(logits, offset, vocab, next, Math.max(0, top));
    }
    int sample = step.sampleOf(logitRow);
    if (sample >= 0 && isReached(rows.sequence(), position, sample)) {
      int token = sampler.sample(rows.sequence(), position + 1, logits, offset, generation.random);
      result.tokens()[sample] = token;
      if (top >= 0) {
        result.logprobs()[sample] = Sampler.logprobs(logits, offset, vocab, token, top);
      }
    }
  }

  /** A draft's row counts only if the row before it picked just that token. */
  private boolean isReached(Sequence sequence, int position, int sample) {
    boolean isDraft = position >= sequence.length();
    return !isDraft || result.tokens()[sample - 1] == sequence.stepToken(position);
  }

  /** Who can be seated, and who is on the way. */
  PreparedAdapters adapters() {
    return adapters;
  }

  /** What a failed step was about, for its error message. */
  static String describe(ScheduledBatch batch) {
    int[] counts = batch.rows().stream().mapToInt(ScheduledRows::count).toArray();
    return "a step of %d rows (%s per sequence)"
        .formatted(batch.totalRows(), Arrays.toString(counts));
  }

  @Override
  public void close() {
    adapters.close();
    pages.close();
  }
}
