package io.chorale.train.plan;

import java.util.List;

/**
 * What a run will take.
 *
 * @param items of memory, in the order they come into being
 * @param peakBytes their sum: predicted peak resident memory
 * @param tokens that are trained on, all epochs
 * @param seconds predicted; evaluations included
 */
public record TrainPlan(
    BaseShape base,
    TrainShape shape,
    DataShape data,
    MachineRate rate,
    List<MemoryItem> items,
    long peakBytes,
    long trainedParameters,
    int steps,
    long tokens,
    double seconds) {
  /** Products in training run slower than one big product again and again, by this share. */
  private static final double EFFICIENCY = 0.5;

  /** Weights a second that are made dense, on two cores. */
  private static final double DENSE_PER_SECOND = 0.7e9;

  /** Weights a second that are rounded with their update, on two cores. */
  private static final double ROUNDED_PER_SECOND = 0.1e9;

  /**
   * Plans a run from its sizes; reads nothing.
   *
   * @param rate measured or assumed
   */
  public static TrainPlan of(BaseShape base, TrainShape shape, DataShape data, MachineRate rate) {
    DataShape cut = data.cutTo(shape.maxSeqLength());
    List<MemoryItem> items = MemoryModel.items(base, shape, cut);
    double batch = Math.max(1, WorkModel.averageBatch(shape, cut));
    double batches =
        shape.packing() ? cut.tokens() / batch : (double) cut.lengths().length / shape.batchSize();
    double stepsOfEpoch = Math.max(1, Math.ceil(Math.ceil(batches) / shape.gradAccum()));
    double steps =
        shape.maxSteps() > 0
            ? shape.maxSteps()
            : Math.max(1, Math.ceil(stepsOfEpoch * shape.epochs()));
    double epochs = shape.maxSteps() > 0 ? steps / stepsOfEpoch : shape.epochs();
    double once =
        WorkModel.trainFlops(base, shape, cut) / (rate.flops() * EFFICIENCY)
            + WorkModel.denseWeights(base, shape, cut) / DENSE_PER_SECOND;
    double evaluations =
        Math.ceil(epochs) * WorkModel.evaluationFlops(base, cut) / (rate.flops() * EFFICIENCY);
    double retaining =
        steps
            * (WorkModel.retainFlops(base, shape, cut) / (rate.flops() * EFFICIENCY)
                + WorkModel.retainDenseWeights(base, shape, cut) / DENSE_PER_SECOND);
    double rounding = WorkModel.roundedWeights(base, shape, steps) / ROUNDED_PER_SECOND;
    return new TrainPlan(
        base,
        shape,
        data,
        rate,
        items,
        items.stream().mapToLong(MemoryItem::bytes).sum(),
        MemoryModel.trainedElements(base, shape, cut),
        (int) steps,
        Math.round(cut.tokens() * epochs),
        once * epochs + evaluations + retaining + rounding);
  }

  /** The same data and machine with other flags. */
  TrainPlan with(TrainShape other) {
    return of(base, other, data, rate);
  }

  /** The same run over a base in another form. */
  TrainPlan over(BaseShape other) {
    return of(other, shape, data, rate);
  }

  /** Whether the run stays below a limit; one of 0 is none. */
  public boolean fits(long limitBytes) {
    return limitBytes <= 0 || peakBytes <= limitBytes;
  }

  /** Single changes that save memory, those that cost least time first. */
  public List<PlanChange> changes() {
    return PlanChange.of(this);
  }

  /**
   * The first of a row of changes that make no other adapter out of the data (but for rounding)
   * with which the run fits: smaller loss chunks, smaller micro-batches with more accumulation, a
   * paged optimizer, checkpointing, 8-bit optimizer state. Itself if it fits; else the leanest.
   */
  public TrainPlan fitted(long limitBytes) {
    return PlanChange.fitted(this, limitBytes);
  }

  /** As a table. */
  public String text(long limitBytes) {
    return PlanText.of(this, limitBytes);
  }
}
