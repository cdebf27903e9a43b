package io.chorale.model;

import io.chorale.kernel.AttentionShape;
import io.chorale.kernel.ForwardInputs;
import io.chorale.kernel.KvPages;
import io.chorale.kernel.Linear;
import io.chorale.kernel.LoraTable;
import io.chorale.kernel.Matrix;
import io.chorale.kernel.Ops;
import io.chorale.kernel.StepRows;
import io.chorale.kernel.Weight;
import java.util.List;

/**
 * The decoder: token ids in, logits out, for rows of many sequences at once, each with its own
 * adapter. Weights are shared and read-only; the workspaces are this object's, so one thread at a
 * time (the engine's).
 */
public final class CausalLm {
  private final ModelSpec spec;
  private final Ops ops;
  private final Linear embedding;
  private final List<DecoderLayer> layers;
  private final Matrix finalNorm;
  private final Linear head;
  private final AttentionShape shape;
  private final float[] inverseFrequencies;
  private final Workspace workspace;
  private final int maxLogitRows;
  private float[] host = new float[0];
  private Workspace top;

  CausalLm(
      ModelSpec spec,
      Ops ops,
      Linear embedding,
      List<DecoderLayer> layers,
      Matrix finalNorm,
      Linear head,
      StepLimits limits) {
    this.spec = spec;
    this.ops = ops;
    this.embedding = embedding;
    this.layers = List.copyOf(layers);
    this.finalNorm = finalNorm;
    this.head = head;
    this.shape =
        new AttentionShape(spec.heads(), spec.kvHeads(), spec.headDim(), spec.slidingWindow());
    this.inverseFrequencies = spec.rope().inverseFrequencies(spec.headDim());
    this.workspace = Workspace.allocate(ops, spec, limits.maxRows(), limits.maxLogitRows());
    this.maxLogitRows = limits.maxLogitRows();
  }

  public ModelSpec spec() {
    return spec;
  }

  public Ops ops() {
    return ops;
  }

  /** Pages for so many KV positions. */
  public KvPages kvPages(int kvSlots) {
    return ops.kvPages(spec.layers(), kvSlots, shape);
  }

  /** An empty LoRA table over this model's modules. */
  public LoraTable loraTable(int slots) {
    return ops.loraTable(slots, moduleWeights(), embedding.module());
  }

  /** Resident bytes of all weights; a tied head counts once. */
  public long weightBytes() {
    long sum = 0;
    Weight[] weights = moduleWeights();
    for (int module = 0; module < weights.length; module++) {
      boolean again = module == head.module() && head.weight() == embedding.weight();
      sum += again ? 0 : weights[module].bytes();
    }
    return sum;
  }

  /** Receives logits band by band. */
  @FunctionalInterface
  public interface LogitsConsumer {
    /**
     * @param first index, among the step's logit rows, of the band's first row
     * @param rows how many
     * @param logits [rows, vocab] row-major, reused by the next band
     */
    void accept(int first, int rows, float[] logits);
  }

  /**
   * Runs one step.
   *
   * @param inputs at most maxRows rows
   * @param pages written at the rows' positions, read before them
   * @param into gets the logits of {@code inputs.logitRows()}
   */
  public void forward(ForwardInputs inputs, LoraTable lora, KvPages pages, LogitsConsumer into) {
    try (StepRows rows = ops.begin(inputs, inverseFrequencies, lora)) {
      Workspace w = top(inputs.rows());
      ops.embed(embedding, rows, w.x());
      for (int i = 0; i < layers.size(); i++) {
        layers.get(i).forward(ops, spec, shape, rows, pages, w);
      }
      logits(inputs.logitRows().length, rows, w, into);
    }
  }

  /** The last step's views if they are this step's too. */
  private Workspace top(int rows) {
    if (top == null || top.x() != workspace.x().top(rows)) {
      top = workspace.top(rows);
    }
    return top;
  }

  private void logits(int count, StepRows rows, Workspace w, LogitsConsumer into) {
    if (count == 0) {
      return;
    }
    Matrix gathered = w.gathered().top(count);
    ops.gatherLogitRows(w.x(), rows, gathered);
    ops.rmsNorm(gathered, finalNorm, spec.rmsEps(), gathered);
    int most = Math.min(count, maxLogitRows) * spec.vocab();
    if (host.length < most) {
      host = new float[most]; // megabytes: not anew for each step
    }
    for (int first = 0; first < count; first += maxLogitRows) {
      int band = Math.min(maxLogitRows, count - first);
      Matrix out = w.logits().top(band);
      ops.linear(gathered.slice(first, band), head, rows.logitRows(first, band), false, out);
      ops.read(out, host);
      into.accept(first, band, host);
    }
  }

  private Weight[] moduleWeights() {
    return ModuleWeights.inOrder(embedding, layers, head);
  }
}
