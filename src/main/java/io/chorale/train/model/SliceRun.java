package io.chorale.train.model;

import io.chorale.model.ModelSpec;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.math.BaseDivergence;
import io.chorale.train.model.math.Buffers;
import io.chorale.train.model.math.DropoutMask;
import io.chorale.train.model.math.Rope;
import io.chorale.train.model.math.SequenceAttention;
import io.chorale.train.model.math.SequenceBundles;
import io.chorale.train.model.math.TokenLoss;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Whole sequences that go through the layers together, once. One thread, {@code GradMode} off. */
final class SliceRun {
  /** What a model is made of, and the memory that it computes in. Owns all of it. */
  record Parts(
      ModelSpec base,
      Compute compute,
      TrainEmbedding embedding,
      List<TrainLayer> layers,
      TrainNorm finalNorm,
      TrainLinear head,
      Rope rope,
      SequenceAttention attention,
      Buffers work,
      Buffers inputs,
      Buffers logits32,
      List<Buffers> tapes)
      implements AutoCloseable {

    static Parts of(ModelSpec base, Compute compute, Weights weights) {
      TrainEmbedding embedding = weights.embedding();
      List<TrainLayer> layers = new ArrayList<>();
      for (int layer = 0; layer < base.layers(); layer++) {
        layers.add(weights.layer(layer));
      }
      TorchDevice device = compute.device();
      ScalarType type = compute.type().torch();
      Buffers work = new Buffers(device, type);
      List<Buffers> tapes = new ArrayList<>();
      for (int i = 0; i < (compute.checkpointing() ? 1 : base.layers()); i++) {
        tapes.add(new Buffers(device, type));
      }
      return new Parts(
          base,
          compute,
          embedding,
          layers,
          weights.norm("final", 0, base.hidden()),
          weights.head(embedding),
          new Rope(base.rope(), base.headDim(), device, type),
          new SequenceAttention(
              base.heads(), base.kvHeads(), base.headDim(), base.slidingWindow(), work),
          work,
          new Buffers(device, type),
          new Buffers(device, ScalarType.Float),
          tapes);
    }

    /** Forgets what was derived from the trained values, which may have changed. */
    void refresh() {
      TorchDevice.threads(compute.threads());
      embedding.refresh();
      head.refresh();
      layers.forEach(layer -> layer.linears().forEach(TrainLinear::refresh));
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

  private final Parts model;
  private final PackedBatch.Slice slice;
  private final SequenceBundles bundles;
  private final DropoutMask dropout;
  private final long seed;
  private Pass pass;
  private Tensor index;

  /**
   * @param dropout null if nothing is dropped
   * @param seed of the dropout masks
   */
  SliceRun(Parts model, PackedBatch.Slice slice, DropoutMask dropout, long seed) {
    this.model = model;
    this.bundles = SequenceBundles.of(slice.starts());
    this.slice = slice.padded(bundles.rows());
    this.dropout = dropout;
    this.seed = seed;
  }

  /** Adds to the gradients; the sum of token losses, nats. */
  double lossAndGradients(double gradScale) {
    try (Scope scope = Scope.open()) {
      begin();
      Tensor out = forward(true);
      Tensor dx = take("dx", slice.rows(), model.base().hidden());
      double sum = headLoss(out, dx, crossEntropy(gradScale));
      backward(dx);
      return sum;
    }
  }

  /** The sum of token losses, nats. */
  double loss() {
    try (Scope scope = Scope.open()) {
      begin();
      return headLoss(forward(false), null, crossEntropy(0));
    }
  }

  /** Through the base, then with its updates; adds to the gradients; the sum of KL, nats. */
  double divergenceAndGradients(double gradScale) {
    try (Scope scope = Scope.open()) {
      begin();
      Pass adapted = pass;
      pass = adapted.ofBase();
      Tensor ofBase = take("base.x", slice.rows(), model.base().hidden()).copy_(forward(false));
      pass = adapted;
      Tensor out = forward(true);
      Tensor dx = take("dx", slice.rows(), model.base().hidden());
      double sum = headLoss(out, dx, divergence(ofBase, gradScale));
      backward(dx);
      return sum;
    }
  }

  /** Of the last sequence's last row, [vocab]. */
  float[] lastLogits() {
    try (Scope scope = Scope.open()) {
      begin();
      Tensor out = forward(false);
      Tensor last = take("head.x", 1, model.base().hidden());
      model.finalNorm().forward(out.narrow(0, bundles.used() - 1, 1), last);
      Tensor logits = take("logits", 1, model.base().vocab());
      model.head().forward(pass, last, logits);
      float[] host = new float[model.base().vocab()];
      model.compute().device().read(logits.to(ScalarType.Float), host, 0, host.length);
      return host;
    }
  }

  private void begin() {
    Tensor positions = model.compute().device().longs(slice.positions());
    index = model.compute().device().longs(Arrays.stream(slice.ids()).asLongStream().toArray());
    pass =
        new Pass(
            model.work(),
            model.tapes().get(0),
            bundles.place(model.compute().device()),
            model.rope().at(positions, slice.longest()),
            model.attention(),
            dropout,
            seed,
            true);
  }

  private Tensor take(String name, long rows, long columns) {
    return model.work().take(name, rows, columns);
  }

  private Pass on(int layer) {
    return pass.onto(model.tapes().get(Math.min(layer, model.tapes().size() - 1)));
  }

  private Tensor x(int layer) {
    return model.inputs().take("x" + layer, slice.rows(), model.base().hidden());
  }

  /** Without {@code keep} only two inputs are held, and one layer's tape. */
  private Tensor forward(boolean keep) {
    model.embedding().forward(pass, slice.ids(), index, x(0));
    int at = 0;
    for (int layer = 0; layer < model.layers().size(); layer++) {
      try (Scope scope = Scope.open()) {
        int next = keep ? layer + 1 : 1 - at;
        model.layers().get(layer).forward(keep ? on(layer) : pass, x(at), x(next));
        at = next;
      }
    }
    return x(at);
  }

  private void backward(Tensor dx) {
    for (int layer = model.layers().size() - 1; layer >= 0; layer--) {
      backward(layer, dx);
    }
    if (model.embedding().trained()) {
      model.embedding().backward(index, x(0), dx);
    }
  }

  private void backward(int layer, Tensor dx) {
    try (Scope scope = Scope.open()) {
      if (model.compute().checkpointing()) {
        Tensor scratch = take("again", slice.rows(), model.base().hidden());
        model.layers().get(layer).forward(on(layer), x(layer), scratch);
      }
      boolean wanted = layer > 0 || model.embedding().trained();
      model.layers().get(layer).backward(on(layer), x(layer), dx, wanted);
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
    // Once for all bands: decoding a head takes as long as several products.
    model.head().hold(pass);
    try {
      for (int from = 0; from < rows.length; from += model.compute().lossChunkRows()) {
        try (Scope scope = Scope.open()) {
          int to = Math.min(rows.length, from + model.compute().lossChunkRows());
          sum += band(Arrays.copyOfRange(rows, from, to), out, dx, loss);
        }
      }
    } finally {
      model.head().letGo(model.work());
    }
    return sum;
  }

  private BandLoss crossEntropy(double gradScale) {
    return (rows, at, logits) -> {
      Tensor targets = model.compute().device().longs(slice.targetsOf(rows));
      return TokenLoss.sumAndGradient(logits, targets, gradScale, model.logits32());
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
    int padded = SequenceBundles.bandRows(count, model.compute().lossChunkRows());
    Tensor picked = take(name + "head.in", padded, model.base().hidden());
    torch.index_select_out(picked.narrow(0, 0, count), out, 0, at);
    SequenceBundles.zeroAfter(picked, count);
    Tensor normed = take(name + "head.x", padded, model.base().hidden());
    model.finalNorm().forward(picked, normed);
    Tensor logits = take(name + "logits", padded, model.base().vocab());
    model.head().forward(through, normed, logits);
    return logits;
  }

  private double band(int[] rows, Tensor out, Tensor dx, BandLoss loss) {
    int count = rows.length;
    Tensor at = model.compute().device().longs(Arrays.stream(rows).asLongStream().toArray());
    Tensor logits = bandLogits(pass, out, at, "");
    int padded = (int) logits.size(0);
    Tensor picked = take("head.in", padded, model.base().hidden());
    Tensor normed = take("head.x", padded, model.base().hidden());
    Tensor before = model.head().keptForDora(model.work(), logits);
    double sum = loss.sumAndGradient(rows, at, logits.narrow(0, 0, count));
    if (dx != null) {
      SequenceBundles.zeroAfter(logits, count);
      Tensor dNormed = take("head.dx", padded, model.base().hidden());
      model.head().backward(pass, normed, before, logits, dNormed, false);
      Tensor dPicked = take("head.din", padded, model.base().hidden()).zero_();
      model.finalNorm().backward(dNormed, picked, dPicked);
      dx.index_copy_(0, at, dPicked.narrow(0, 0, count));
    }
    return sum;
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
}
