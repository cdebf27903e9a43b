package io.chorale.train.model;

import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.ModelSpec;
import io.chorale.tensor.GradMode;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.data.SftExample;
import io.chorale.train.model.math.BaseDivergence;
import io.chorale.train.model.math.Buffers;
import io.chorale.train.model.math.DropoutMask;
import io.chorale.train.model.math.Rope;
import io.chorale.train.model.math.SequenceAttention;
import io.chorale.train.model.math.SequenceBundles;
import io.chorale.train.model.math.TokenLoss;
import io.chorale.train.model.target.AdapterPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

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

  private final ModelSpec base;
  private final AdapterSpec spec;
  private final Compute compute;
  private final TrainEmbedding embedding;
  private final List<TrainLayer> layers = new ArrayList<>();
  private final TrainNorm finalNorm;
  private final TrainLinear head;
  private final List<Parameter> parameters;
  private final Map<ModuleId, LowRank> low;
  private final long totalParameters;
  private final Rope rope;
  private final SequenceAttention attention;
  private final Buffers work;
  private final Buffers inputs;
  private final Buffers logits32;
  private final List<Buffers> tapes = new ArrayList<>();

  private TrainableCausalLm(
      BaseModelFiles files, AdapterSpec spec, Compute compute, Weights weights) {
    this.base = files.spec();
    this.spec = spec;
    this.compute = compute;
    this.embedding = weights.embedding();
    for (int layer = 0; layer < base.layers(); layer++) {
      layers.add(weights.layer(layer));
    }
    this.finalNorm = weights.norm("final", 0, base.hidden());
    this.head = weights.head(embedding);
    this.parameters = List.copyOf(weights.parameters());
    this.low = weights.low();
    long added =
        spec.method() == TrainMethod.FULL
            ? 0
            : parameters.stream().mapToLong(Parameter::elements).sum();
    this.totalParameters = weights.baseElements() + added;
    TorchDevice device = compute.device();
    ScalarType type = compute.type().torch();
    this.work = new Buffers(device, type);
    this.inputs = new Buffers(device, type);
    this.logits32 = new Buffers(device, ScalarType.Float);
    this.rope = new Rope(base.rope(), base.headDim(), device, type);
    this.attention =
        new SequenceAttention(
            base.heads(), base.kvHeads(), base.headDim(), base.slidingWindow(), work);
    for (int i = 0; i < (compute.checkpointing() ? 1 : base.layers()); i++) {
      tapes.add(new Buffers(device, type));
    }
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
      return new TrainableCausalLm(files, spec, compute, weights);
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
      refresh();
      int index = 0;
      for (Slice slice : slices(batch)) {
        long seed = DropoutMask.mix(dropoutSeed) + index++;
        sum += new Run(slice, dropout, seed).lossAndGradients(gradScale);
      }
    }
    return sum;
  }

  /** The sum of token losses, nats; no dropout, no gradients. */
  public double loss(PackedBatch batch) {
    double sum = 0;
    try (GradMode off = GradMode.off()) {
      refresh();
      for (Slice slice : slices(batch)) {
        sum += new Run(slice, null, 0).loss();
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
      refresh();
      int index = 0;
      for (Slice slice : slices(batch)) {
        long seed = DropoutMask.mix(dropoutSeed) + index++;
        sum += new Run(slice, dropout, seed).divergenceAndGradients(gradScale);
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
      refresh();
      return new Run(new Slice(ids, targets, new int[] {0, ids.length}), null, 0).lastLogits();
    }
  }

  private List<Slice> slices(PackedBatch batch) {
    Slice.checkTokens(batch, base.name(), base.vocab());
    return Slice.of(batch, SLICE_ROWS).stream().filter(s -> s.trainedRows().length > 0).toList();
  }

  /** Whether a merge-aware model computes as merged, as it does at first, or unmerged. */
  public void asMerged(boolean on) {
    layers.forEach(layer -> layer.linears().forEach(linear -> linear.asMerged(on)));
  }

  private void refresh() {
    TorchDevice.threads(compute.threads());
    embedding.refresh();
    head.refresh();
    layers.forEach(layer -> layer.linears().forEach(TrainLinear::refresh));
  }

  /** Whole sequences that go through the layers together. */
  private final class Run {
    private final Slice slice;
    private final SequenceBundles bundles;
    private final DropoutMask dropout;
    private final long seed;
    private Pass pass;
    private Tensor index;

    Run(Slice slice, DropoutMask dropout, long seed) {
      this.bundles = SequenceBundles.of(slice.starts());
      this.slice = slice.padded(bundles.rows());
      this.dropout = dropout;
      this.seed = seed;
    }

    double lossAndGradients(double gradScale) {
      try (Scope scope = Scope.open()) {
        begin();
        Tensor out = forward(true);
        Tensor dx = work.take("dx", slice.rows(), base.hidden());
        double sum = headLoss(out, dx, crossEntropy(gradScale));
        backward(dx);
        return sum;
      }
    }

    double loss() {
      try (Scope scope = Scope.open()) {
        begin();
        return headLoss(forward(false), null, crossEntropy(0));
      }
    }

    double divergenceAndGradients(double gradScale) {
      try (Scope scope = Scope.open()) {
        begin();
        Pass adapted = pass;
        pass = adapted.ofBase();
        Tensor ofBase = work.take("base.x", slice.rows(), base.hidden()).copy_(forward(false));
        pass = adapted;
        Tensor out = forward(true);
        Tensor dx = work.take("dx", slice.rows(), base.hidden());
        double sum = headLoss(out, dx, divergence(ofBase, gradScale));
        backward(dx);
        return sum;
      }
    }

    float[] lastLogits() {
      try (Scope scope = Scope.open()) {
        begin();
        Tensor out = forward(false);
        Tensor last = work.take("head.x", 1, base.hidden());
        finalNorm.forward(out.narrow(0, bundles.used() - 1, 1), last);
        Tensor logits = work.take("logits", 1, base.vocab());
        head.forward(pass, last, logits);
        float[] host = new float[base.vocab()];
        compute.device().read(logits.to(ScalarType.Float), host, 0, host.length);
        return host;
      }
    }

    private void begin() {
      Tensor positions = compute.device().longs(slice.positions());
      index = compute.device().longs(Arrays.stream(slice.ids()).asLongStream().toArray());
      pass =
          new Pass(
              work,
              tapes.get(0),
              bundles.place(compute.device()),
              rope.at(positions, slice.longest()),
              attention,
              dropout,
              seed,
              true);
    }

    private Pass on(int layer) {
      return pass.onto(tapes.get(Math.min(layer, tapes.size() - 1)));
    }

    private Tensor x(int layer) {
      return inputs.take("x" + layer, slice.rows(), base.hidden());
    }

    /** Without {@code keep} only two inputs are held, and one layer's tape. */
    private Tensor forward(boolean keep) {
      embedding.forward(pass, slice.ids(), index, x(0));
      int at = 0;
      for (int layer = 0; layer < layers.size(); layer++) {
        try (Scope scope = Scope.open()) {
          int next = keep ? layer + 1 : 1 - at;
          layers.get(layer).forward(keep ? on(layer) : pass, x(at), x(next));
          at = next;
        }
      }
      return x(at);
    }

    private void backward(Tensor dx) {
      for (int layer = layers.size() - 1; layer >= 0; layer--) {
        backward(layer, dx);
      }
      if (embedding.trained()) {
        embedding.backward(index, x(0), dx);
      }
    }

    private void backward(int layer, Tensor dx) {
      try (Scope scope = Scope.open()) {
        if (compute.checkpointing()) {
          Tensor scratch = work.take("again", slice.rows(), base.hidden());
          layers.get(layer).forward(on(layer), x(layer), scratch);
        }
        boolean wanted = layer > 0 || embedding.trained();
        layers.get(layer).backward(on(layer), x(layer), dx, wanted);
      }
    }

    /**
     * The loss of the trained rows, a band at a time.
     *
     * @param out of the last layer
     * @param dx gradient of {@code out}, overwritten; null if not wanted
     */
    private double headLoss(Tensor out, Tensor dx, BandLoss loss) {
      int[] rows = slice.trainedRows();
      if (dx != null) {
        dx.zero_();
      }
      double sum = 0;
      head.hold(pass); // once for all bands: decoding a head takes as long as several products
      try {
        for (int from = 0; from < rows.length; from += compute.lossChunkRows()) {
          try (Scope scope = Scope.open()) {
            int to = Math.min(rows.length, from + compute.lossChunkRows());
            sum += band(Arrays.copyOfRange(rows, from, to), out, dx, loss);
          }
        }
      } finally {
        head.letGo(work);
      }
      return sum;
    }

    private BandLoss crossEntropy(double gradScale) {
      return (rows, at, logits) -> {
        Tensor targets = compute.device().longs(slice.targetsOf(rows));
        return TokenLoss.sumAndGradient(logits, targets, gradScale, logits32);
      };
    }

    /**
     * @param ofBase the last layer's output without updates
     */
    private BandLoss divergence(Tensor ofBase, double gradScale) {
      return (rows, at, logits) -> {
        Tensor wanted = bandLogits(pass.ofBase(), ofBase, at, "base.");
        return BaseDivergence.sumAndGradient(logits, wanted.narrow(0, 0, rows.length), gradScale);
      };
    }

    /** Logits of some rows, [at least as many, vocab]; their inputs stay in NAMEhead.in and .x. */
    private Tensor bandLogits(Pass through, Tensor out, Tensor at, String name) {
      int count = (int) at.size(0);
      int padded = SequenceBundles.bandRows(count, compute.lossChunkRows());
      Tensor picked = work.take(name + "head.in", padded, base.hidden());
      torch.index_select_out(picked.narrow(0, 0, count), out, 0, at);
      SequenceBundles.zeroAfter(picked, count);
      Tensor normed = work.take(name + "head.x", padded, base.hidden());
      finalNorm.forward(picked, normed);
      Tensor logits = work.take(name + "logits", padded, base.vocab());
      head.forward(through, normed, logits);
      return logits;
    }

    private double band(int[] rows, Tensor out, Tensor dx, BandLoss loss) {
      int count = rows.length;
      Tensor at = compute.device().longs(Arrays.stream(rows).asLongStream().toArray());
      Tensor logits = bandLogits(pass, out, at, "");
      int padded = (int) logits.size(0);
      Tensor picked = work.take("head.in", padded, base.hidden());
      Tensor normed = work.take("head.x", padded, base.hidden());
      Tensor before = head.keptForDora(work, logits);
      double sum = loss.sumAndGradient(rows, at, logits.narrow(0, 0, count));
      if (dx != null) {
        SequenceBundles.zeroAfter(logits, count);
        Tensor dNormed = work.take("head.dx", padded, base.hidden());
        head.backward(pass, normed, before, logits, dNormed, false);
        Tensor dPicked = work.take("head.din", padded, base.hidden()).zero_();
        finalNorm.backward(dNormed, picked, dPicked);
        dx.index_copy_(0, at, dPicked.narrow(0, 0, count));
      }
      return sum;
    }
  }

  /** What a band of rows costs. */
  @FunctionalInterface
  private interface BandLoss {
    /**
     * @param rows of the slice
     * @param at the same, int64
     * @param logits [rows, vocab], overwritten with the loss's gradient
     * @return the sum, nats
     */
    double sumAndGradient(int[] rows, Tensor at, Tensor logits);
  }

  public void zeroGrads() {
    try (GradMode off = GradMode.off()) {
      parameters.forEach(parameter -> parameter.grad().zero_());
    }
  }

  /** Bytes of libtorch's memory that hold the base. */
  long baseBytes() {
    long sum = embedding.base() == null ? 0 : embedding.base().heldBytes();
    for (TrainLayer layer : layers) {
      for (TrainLinear linear : layer.linears()) {
        sum += linear.base() == null ? 0 : linear.base().heldBytes();
      }
    }
    return sum;
  }

  /** Bytes of activations and scratch memory held now. */
  long bufferBytes() {
    long sum = work.bytes() + inputs.bytes() + logits32.bytes();
    return sum + tapes.stream().mapToLong(Buffers::bytes).sum();
  }

  @Override
  public void close() {
    parameters.forEach(Parameter::close);
    embedding.close();
    layers.forEach(TrainLayer::close);
    finalNorm.close();
    head.close();
    rope.close();
    attention.close();
    work.close();
    List.of(inputs, logits32).forEach(Buffers::close);
    tapes.forEach(Buffers::close);
  }
}
