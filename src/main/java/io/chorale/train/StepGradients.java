package io.chorale.train;

import io.chorale.train.data.SftExample;
import io.chorale.train.model.PackedBatch;
import io.chorale.train.model.TrainableCausalLm;
import io.chorale.train.optim.Gradients;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The gradient of one optimizer step: the sum over a whole window of micro-batches of all token
 * losses, divided by the number of its trained tokens. So how rows are spread over micro-batches
 * does not matter, and each trained token weighs the same.
 */
final class StepGradients {
  private final TrainableCausalLm model;
  private final List<SftExample> examples;
  private final long seed;
  private final Optional<RetainSet> retained;

  /**
   * @param loss mean over trained tokens, nats
   * @param divergence mean over the retained rows' tokens, nats; 0 without
   * @param norm of the gradient, not clipped
   * @param tokens that were computed, those of retained rows too
   * @param trained of them, with a loss
   */
  record Result(double loss, double divergence, double norm, int tokens, int trained) {
    boolean finite() {
      return Double.isFinite(loss) && Double.isFinite(divergence) && Double.isFinite(norm);
    }
  }

  StepGradients(
      TrainableCausalLm model, List<SftExample> examples, Optional<RetainSet> retained, long seed) {
    this.model = model;
    this.examples = examples;
    this.retained = retained;
    this.seed = seed;
  }

  /** Fills the gradients, which must be zero. */
  Result compute(List<PackedBatch> window, int step) {
    int trained = window.stream().mapToInt(PackedBatch::trainedTokens).sum();
    int tokens = window.stream().mapToInt(PackedBatch::rows).sum();
    double sum = 0;
    for (int micro = 0; micro < window.size(); micro++) {
      sum += model.lossAndGradients(window.get(micro), 1.0 / trained, dropoutSeed(step, micro));
    }
    double divergence = 0;
    if (retained.isPresent()) {
      divergence = retained.get().addGradients(step, dropoutSeed(step, window.size()));
      tokens += retained.get().tokens(step);
    }
    return new Result(
        sum / trained, divergence, Gradients.norm(model.parameters()), tokens, trained);
  }

  /** Different for each micro-batch of a run (the finalizer of SplitMix64). */
  private long dropoutSeed(int step, int micro) {
    long z = seed + 0x9E3779B97F4A7C15L * ((long) step << 20 | micro + 1);
    z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
    z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
    return z ^ z >>> 31;
  }

  /**
   * The rows whose own loss or gradient is not finite, computed one by one; if none is on its own,
   * those of the micro-batches that are not; else all. Gradients are zero afterwards.
   */
  int[] culprits(List<PackedBatch> window, int step) {
    List<Integer> rows = new ArrayList<>();
    List<Integer> inBatch = new ArrayList<>();
    List<Integer> all = new ArrayList<>();
    for (int micro = 0; micro < window.size(); micro++) {
      PackedBatch batch = window.get(micro);
      long dropout = dropoutSeed(step, micro);
      boolean whole = finite(batch, dropout);
      for (int row : batch.sources()) {
        all.add(row);
        if (!whole) {
          inBatch.add(row);
          if (!finite(Batches.pack(examples, new int[] {row}), dropout)) {
            rows.add(row);
          }
        }
      }
    }
    List<Integer> found = !rows.isEmpty() ? rows : !inBatch.isEmpty() ? inBatch : all;
    return found.stream().mapToInt(Integer::intValue).toArray();
  }

  private boolean finite(PackedBatch batch, long dropout) {
    model.zeroGrads();
    double loss = model.lossAndGradients(batch, 1.0, dropout);
    boolean finite = Double.isFinite(loss) && Double.isFinite(Gradients.norm(model.parameters()));
    model.zeroGrads();
    return finite;
  }
}
