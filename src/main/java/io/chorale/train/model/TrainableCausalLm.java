package io.chorale.train.model;

import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import java.util.List;

/**
 * The decoder that can be trained: sums of token losses and their gradients for whole packed
 * sequences. One thread at a time.
 */
public final class TrainableCausalLm implements AutoCloseable {
  private TrainableCausalLm() {}

  /**
   * Loads a base and lays an untrained adapter over it.
   *
   * @param seed of the initial A and of dropout
   * @throws IllegalArgumentException if the adapter matches no module, or FULL is asked of a 4-bit
   *     base
   */
  public static TrainableCausalLm open(
      BaseModelFiles files, AdapterSpec spec, Compute compute, long seed) {
    throw new UnsupportedOperationException();
  }

  /** What is trained, in a fixed order. */
  public List<Parameter> parameters() {
    throw new UnsupportedOperationException();
  }

  /** Base and adapter. */
  public long totalParameters() {
    throw new UnsupportedOperationException();
  }

  public AdapterSpec spec() {
    throw new UnsupportedOperationException();
  }

  /** The adapted modules, in the model's order. */
  public List<ModuleId> targets() {
    throw new UnsupportedOperationException();
  }

  public int rankOf(ModuleId module) {
    throw new UnsupportedOperationException();
  }

  public float scalingOf(ModuleId module) {
    throw new UnsupportedOperationException();
  }

  /**
   * Adds {@code gradScale * d(sum of token losses)/dp} to every gradient.
   *
   * @param dropoutSeed the masks follow from it alone
   * @return the sum of token losses, nats
   */
  public double lossAndGradients(PackedBatch batch, double gradScale, long dropoutSeed) {
    throw new UnsupportedOperationException();
  }

  /** The sum of token losses, nats; no dropout, no gradients. */
  public double loss(PackedBatch batch) {
    throw new UnsupportedOperationException();
  }

  /** Logits after the last of one sequence's ids, [vocab]. */
  public float[] logits(int[] ids) {
    throw new UnsupportedOperationException();
  }

  public void zeroGrads() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {}
}
