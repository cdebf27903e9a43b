package io.chorale.train.model;

import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.tensor.GradMode;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.data.SftExample;
import io.chorale.train.model.math.DropoutMask;
import io.chorale.train.model.target.AdapterPlan;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * The decoder that can be trained: sums of token losses and their gradients for whole packed
 * sequences, forward and backward written out layer by layer. The base is never changed.
 *
 * <p>A batch goes through in slices of whole sequences of at most {@link #SLICE_ROWS} rows (a
 * longer sequence by itself), whose gradients add up; so memory follows the slice, not the batch.
 * One thread at a time.
 *
 * <p>Twin of {@code model.CausalLm}: the same logits within 1e-4 in float32. Within 1e-5 of PEFT's
 * autograd in loss and gradients.
 */
public final class TrainableCausalLm implements AutoCloseable {
  /** Most rows that go through the layers at once. */
  static final int SLICE_ROWS = 768;

  private final AdapterSpec spec;
  private final SliceRun.Parts parts;
  private final List<Parameter> parameters;
  private final Map<ModuleId, LowRank> low;
  private final long totalParameters;

  private TrainableCausalLm(AdapterSpec spec, SliceRun.Parts parts, Weights weights) {
    this.spec = spec;
    this.parts = parts;
    this.parameters = List.copyOf(weights.parameters());
    this.low = weights.low();
    long added =
        spec.method() == TrainMethod.FULL
            ? 0
            : parameters.stream().mapToLong(Parameter::elements).sum();
    this.totalParameters = weights.baseElements() + added;
  }

  /**
   * Loads a base and lays an untrained adapter over it.
   *
   * @param seed of the initial A
   * @throws IllegalArgumentException if the adapter matches no module, or FULL is asked of a 4-bit
   *     base
   */
  public static TrainableCausalLm open(
      BaseModelFiles files, AdapterSpec spec, Compute compute, long seed) {
    TorchDevice.threads(compute.threads());
    boolean full = spec.method() == TrainMethod.FULL;
    AdapterPlan plan =
        full ? new AdapterPlan(Map.of(), java.util.Set.of()) : AdapterPlan.of(spec, files.spec());
    Weights weights = new Weights(files, spec, plan, compute, seed);
    try (GradMode off = GradMode.off()) {
      return new TrainableCausalLm(
          spec, SliceRun.Parts.of(files.spec(), compute, weights), weights);
    } catch (RuntimeException e) {
      weights.parameters().forEach(Parameter::close);
      throw e;
    }
  }

  /** What is trained, in a fixed order. */
  public List<Parameter> parameters() {
    return parameters;
  }

  /** Elements of base and adapter. */
  public long totalParameters() {
    return totalParameters;
  }

  public AdapterSpec spec() {
    return spec;
  }

  /** The modules with a low-rank update, in the model's order. */
  public List<ModuleId> targets() {
    return List.copyOf(low.keySet());
  }

  public int rankOf(ModuleId module) {
    return placed(module).rank();
  }

  public float scalingOf(ModuleId module) {
    return placed(module).scaling();
  }

  private LowRank placed(ModuleId module) {
    LowRank found = low.get(module);
    if (found == null) {
      throw new IllegalArgumentException(module + " has no update; those that have: " + targets());
    }
    return found;
  }

  /**
   * Adds {@code gradScale * d(sum of token losses)/dp} to every gradient.
   *
   * @param dropoutSeed the masks follow from it alone
   * @return the sum of token losses, nats
   */
  public double lossAndGradients(PackedBatch batch, double gradScale, long dropoutSeed) {
    DropoutMask dropout = spec.dropout() > 0 ? new DropoutMask(spec.dropout()) : null;
    double sum = 0;
    try (GradMode off = GradMode.off()) {
      parts.refresh();
      int index = 0;
      for (PackedBatch.Slice slice : slices(batch)) {
        long seed = DropoutMask.mix(dropoutSeed) + index++;
        sum += new SliceRun(parts, slice, dropout, seed).lossAndGradients(gradScale);
      }
    }
    return sum;
  }

  /** The sum of token losses, nats; no dropout, no gradients. */
  public double loss(PackedBatch batch) {
    double sum = 0;
    try (GradMode off = GradMode.off()) {
      parts.refresh();
      for (PackedBatch.Slice slice : slices(batch)) {
        sum += new SliceRun(parts, slice, null, 0).loss();
      }
    }
    return sum;
  }

  /**
   * Adds {@code gradScale * d(sum of KL(base || adapted))/dp} to every gradient: the divergence of
   * what the adapted model predicts from what its base does, over the rows that have a target
   * (Kullback and Leibler; as a penalty on forgetting, Li and Hoiem 2016, arXiv:1606.09282). It and
   * its gradient are 0 where nothing has changed.
   *
   * @param dropoutSeed as in {@link #lossAndGradients}; the base drops nothing
   * @return the sum over those rows, nats
   * @throws IllegalStateException if the base is trained itself, see {@link #keepsBase}
   */
  public double divergenceAndGradients(PackedBatch batch, double gradScale, long dropoutSeed) {
    if (!keepsBase()) {
      throw new IllegalStateException("the base's own values are trained, nothing is left of it");
    }
    DropoutMask dropout = spec.dropout() > 0 ? new DropoutMask(spec.dropout()) : null;
    double sum = 0;
    try (GradMode off = GradMode.off()) {
      parts.refresh();
      int index = 0;
      for (PackedBatch.Slice slice : slices(batch)) {
        long seed = DropoutMask.mix(dropoutSeed) + index++;
        sum += new SliceRun(parts, slice, dropout, seed).divergenceAndGradients(gradScale);
      }
    }
    return sum;
  }

  /** Whether the base is as it was opened: no module of it is trained whole. */
  public boolean keepsBase() {
    return spec.method() != TrainMethod.FULL && spec.modulesToSave().isEmpty();
  }

  /** Logits after the last of one sequence's ids, [vocab]. */
  public float[] logits(int[] ids) {
    int[] targets = new int[ids.length];
    Arrays.fill(targets, SftExample.IGNORE_INDEX);
    try (GradMode off = GradMode.off()) {
      parts.refresh();
      return new SliceRun(
              parts, new PackedBatch.Slice(ids, targets, new int[] {0, ids.length}), null, 0)
          .lastLogits();
    }
  }

  private List<PackedBatch.Slice> slices(PackedBatch batch) {
    PackedBatch.Slice.checkTokens(batch, parts.base().name(), parts.base().vocab());
    return PackedBatch.Slice.of(batch, SLICE_ROWS).stream()
        .filter(s -> s.trainedRows().length > 0)
        .toList();
  }

  /** Whether a merge-aware model computes as merged, as it does at first, or unmerged. */
  public void asMerged(boolean on) {
    parts.layers().forEach(layer -> layer.linears().forEach(linear -> linear.asMerged(on)));
  }

  public void zeroGrads() {
    try (GradMode off = GradMode.off()) {
      parameters.forEach(parameter -> parameter.grad().zero_());
    }
  }

  /** Bytes of libtorch's memory that hold the base. */
  long baseBytes() {
    return parts.baseBytes();
  }

  /** Bytes of activations and scratch memory held now. */
  long bufferBytes() {
    return parts.bufferBytes();
  }

  @Override
  public void close() {
    parameters.forEach(Parameter::close);
    parts.close();
  }
}
