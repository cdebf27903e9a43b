package io.chorale.train.plan;

import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.train.model.TrainMethod;
import java.util.Map;

/** Arithmetic that a run does: multiplications and additions, and matrices that are made dense. */
final class WorkModel {
  private static final int TILE = 128;

  private WorkModel() {}

  /** FLOPs of training on so many tokens of which a share has a loss. */
  static double trainFlops(BaseShape base, TrainShape shape, DataShape data) {
    double tokens = data.tokens();
    boolean full = shape.method() == TrainMethod.FULL;
    double linear = 2.0 * base.linearWeights();
    double passes = 2 + (full ? 1 : 0) + (shape.checkpointing() ? 1 : 0);
    double low = 0;
    for (Map.Entry<ModuleId, Integer> entry : shape.ranks().entrySet()) {
      LoraTarget target = entry.getKey().target();
      low += (double) entry.getValue() * (base.inputs(target) + base.outputs(target));
    }
    double head = 2.0 * base.vocab() * base.hidden() * data.trainedShare();
    double perToken =
        linear * passes + low * (6 + (shape.checkpointing() ? 2 : 0)) + head * (full ? 3 : 2);
    return perToken * tokens + attention(base, data) * (3.5 + (shape.checkpointing() ? 1 : 0));
  }

  /** FLOPs of one step's retained rows: the base's pass and a training pass over every token. */
  static double retainFlops(BaseShape base, TrainShape shape, DataShape data) {
    if (data.retained().isEmpty()) {
      return 0;
    }
    DataShape all = data.retained().get().asData();
    double share = data.retained().get().tokens() / Math.max(1, all.tokens());
    double once =
        all.tokens() * 2.0 * (base.linearWeights() + (double) base.vocab() * base.hidden());
    return share * (trainFlops(base, shape, all) + once + attention(base, all));
  }

  /** Weights that are made dense for one step's retained rows. */
  static double retainDenseWeights(BaseShape base, TrainShape shape, DataShape data) {
    return data.retained().isEmpty() ? 0 : 1.5 * dense(base, shape, 1);
  }

  /** FLOPs of one evaluation. */
  static double evaluationFlops(BaseShape base, DataShape data) {
    return data.evaluated()
        * (2.0 * base.linearWeights() + 2.0 * base.vocab() * base.hidden() * data.trainedShare());
  }

  /** Of the forward pass: scores and sums, over the tiles that a causal mask leaves. */
  private static double attention(BaseShape base, DataShape data) {
    double seen = 0;
    for (int length : data.lengths()) {
      seen += (double) length * (length + TILE) / 2;
    }
    return 4.0 * base.qWidth() * seen * base.layers();
  }

  /** Weights that are made dense in one epoch; 0 for a base that is used as it is. */
  static double denseWeights(BaseShape base, TrainShape shape, DataShape data) {
    double rows = Math.min(MemoryModel.SLICE_ROWS, Math.max(1, averageBatch(shape, data)));
    return dense(base, shape, data.tokens() / rows);
  }

  private static double dense(BaseShape base, TrainShape shape, double slices) {
    BaseForm linear = shape.rounded().orElse(base.linear());
    if (shape.method() == TrainMethod.FULL || linear.isCompute(shape.computeBytes())) {
      return 0;
    }
    return slices * base.linearWeights() * (shape.checkpointing() ? 3 : 2);
  }

  /** Weights that are rounded to 4 bits with their update, before each step. */
  static double roundedWeights(BaseShape base, TrainShape shape, double steps) {
    return shape.rounded().isPresent() ? steps * base.linearWeights() : 0;
  }

  /** Tokens of a micro-batch. */
  static double averageBatch(TrainShape shape, DataShape data) {
    if (shape.packing()) {
      return 0.95 * shape.batchSize() * shape.maxSeqLength();
    }
    return (double) data.tokens() / Math.max(1, data.lengths().length) * shape.batchSize();
  }
}
