package io.chorale.train.plan;

import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.train.model.TrainMethod;
import io.chorale.train.model.math.BaseDivergence;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Bytes that a run holds at its peak, item by item: a copy in formulas of what {@code
 * TrainableCausalLm}, its layers' tapes, its scratch buffers and the optimizers allocate. Scratch
 * buffers live to the end of the run, so the peak is their sum.
 */
final class MemoryModel {
  /** Most rows through the layers at once, as {@code TrainableCausalLm.SLICE_ROWS}. */
  static final int SLICE_ROWS = 1024;

  /** Queries of one attention tile. */
  private static final int TILE = 128;

  /**
   * Java, its heap with tokenizer and rows, libtorch's code and tables, the allocator's slack:
   * measured, see docs/watching-a-run.md.
   */
  static final long PROCESS_BYTES = 470L << 20;

  /** Java heap and allocator slack of rounding before each step: measured on SmolLM2-135M. */
  private static final long ROUNDING_BYTES = 200L << 20;

  /** One token row of data in the Java heap: id and label. */
  private static final int DATA_BYTES = 8;

  private final BaseShape base;
  private final TrainShape shape;
  private final long rows;
  private final long longest;
  private final long trainedRows;
  private final long retainedRows;
  private final long dataTokens;
  private final List<MemoryItem> items = new ArrayList<>();

  private MemoryModel(BaseShape base, TrainShape shape, DataShape data) {
    this.base = base;
    this.shape = shape;
    DataShape cut = data.cutTo(shape.maxSeqLength());
    int filled = shape.packing() ? shape.batchSize() * shape.maxSeqLength() : 0;
    DataShape retained = cut.retained().map(DataShape.Retained::asData).orElse(null);
    int batch = cut.retained().map(DataShape.Retained::batchSize).orElse(0);
    this.retainedRows = retained == null ? 0 : retained.largestSlice(batch, 0, SLICE_ROWS);
    long own = cut.largestSlice(shape.batchSize(), filled, SLICE_ROWS);
    this.longest = Math.max(cut.longest(), retained == null ? 0 : retained.longest());
    this.rows = Math.max(own, retainedRows);
    this.trainedRows =
        Math.max(Math.max(1, (long) Math.ceil(own * data.trainedShare())), retainedRows);
    this.dataTokens = cut.tokens() + (retained == null ? 0 : retained.tokens());
  }

  static List<MemoryItem> items(BaseShape base, TrainShape shape, DataShape data) {
    MemoryModel model = new MemoryModel(base, shape, data);
    model.process();
    model.weights();
    model.trained();
    model.activations();
    model.logits();
    return List.copyOf(model.items);
  }

  private void add(String name, String how, double bytes) {
    if (bytes > 0) {
      items.add(new MemoryItem(name, how, Math.round(bytes)));
    }
  }

  private boolean full() {
    return shape.method() == TrainMethod.FULL;
  }

  private boolean dora() {
    return shape.method() == TrainMethod.DORA;
  }

  private void process() {
    add(
        "process",
        "Java, libtorch, tokenizer, data",
        PROCESS_BYTES + DATA_BYTES * (double) dataTokens);
  }

  private void weights() {
    long linears = base.linearWeights();
    long tables = base.embeddingWeights();
    add(
        "base file",
        "mapped, read once; clean pages that can leave memory",
        base.file().bytes(linears) + base.embedding().bytes(tables));
    if (!full()) {
      add(
          "base weights",
          "kept as " + base.linear(),
          base.linear().copyBytes(linears, shape.computeBytes())
              + base.embedding().copyBytes(tables, shape.computeBytes()));
    }
    shape
        .rounded()
        .ifPresent(
            form ->
                add(
                    "merged weights",
                    "rounded to " + form + " with the update, before each step",
                    form.copyBytes(linears, e()) + ROUNDING_BYTES + 4.0 * trainedElements()));
    add("dense matrix", "the largest that is made dense for a product", denseElements() * e());
    if (dora()) {
      add("scaled matrices", "DoRA's, one of each shape", scaledElements() * e());
    }
  }

  private int e() {
    return shape.computeBytes();
  }

  /** The head is the largest where it has to be converted, else a layer's matrix. */
  private double denseElements() {
    BaseForm linear = full() ? BaseForm.F32 : shape.rounded().orElse(base.linear());
    BaseForm table = full() ? BaseForm.F32 : base.embedding();
    long most = 0;
    if (!linear.isCompute(e()) && linear.copyBytes(2, e()) != 4 || linear.bytes(8) < 16) {
      most = (long) base.hidden() * Math.max(base.intermediate(), base.qWidth());
    }
    if (!table.isCompute(e()) && !(table == BaseForm.F32 && e() == 2 && !full())) {
      most = Math.max(most, (long) base.vocab() * base.hidden());
    }
    return most;
  }

  private double scaledElements() {
    Set<Long> shapes = new HashSet<>();
    double sum = 0;
    for (ModuleId id : shape.ranks().keySet()) {
      long in = base.inputs(id.target());
      long out = base.outputs(id.target());
      if (id.target() != LoraTarget.EMBED_TOKENS && shapes.add(in << 32 | out)) {
        sum += (double) in * out;
      }
    }
    return sum;
  }

  /** Trained numbers. */
  long trainedElements() {
    if (full()) {
      return base.parameters();
    }
    long sum = shape.savedWeights();
    for (Map.Entry<ModuleId, Integer> entry : shape.ranks().entrySet()) {
      LoraTarget target = entry.getKey().target();
      sum += (long) entry.getValue() * (base.inputs(target) + base.outputs(target));
      sum += dora() ? base.outputs(target) : 0;
    }
    return sum;
  }

  static long trainedElements(BaseShape base, TrainShape shape, DataShape data) {
    return new MemoryModel(base, shape, data).trainedElements();
  }

  private void trained() {
    double trained = trainedElements();
    add("trained parameters", "float32", 4 * trained + (e() == 2 && !full() ? 2 * trained : 0));
    add("gradients", "float32", 4 * trained);
    if (!shape.paged()) {
      add(
          "optimizer state",
          shape.eightBit() ? "two moments in 8 bits" : "two moments, float32",
          shape.eightBit() ? trained * (2 + 8 / 256.0) : 8 * trained);
    }
  }

  private void activations() {
    double layers = shape.checkpointing() ? 1 : base.layers();
    add(
        "layer activations",
        shape.checkpointing() ? "of one layer" : "of all layers, for backward",
        layers * tapeWidth() * rows * e());
    add("layer inputs", "kept of every layer", (base.layers() + 1.0) * base.hidden() * rows * e());
    add("scratch", "of one layer, forward and backward", scratch());
  }

  /** Elements a row leaves on one layer's tape. */
  private double tapeWidth() {
    double width =
        2.0 * base.qWidth() + 2.0 * base.kvWidth() + base.hidden() + 2.0 * base.intermediate();
    width += base.qkNorm() ? base.qWidth() + base.kvWidth() : 0;
    for (Map.Entry<ModuleId, Integer> entry : shape.ranks().entrySet()) {
      if (entry.getKey().layer() == 0) {
        width += entry.getValue();
        width += dora() && shape.dropout() ? base.outputs(entry.getKey().target()) : 0;
      }
    }
    return width + (dora() && !shape.dropout() ? 2.0 * base.hidden() : 0);
  }

  private double scratch() {
    double widest = Math.max(base.intermediate(), Math.max(base.qWidth(), base.hidden()));
    double width =
        3.0 * base.hidden()
            + 2.0 * base.intermediate()
            + 2.0 * base.qWidth()
            + 2.0 * base.kvWidth();
    width += shape.checkpointing() ? base.hidden() : 0;
    width += dora() && !shape.dropout() ? 2.0 * base.intermediate() : 0;
    width += dora() && shape.dropout() ? 2 * widest : 0;
    width += base.qkNorm() ? base.qWidth() + base.kvWidth() : 0;
    double bytes = width * rows * e();
    if (shape.dropout()) {
      bytes += widest * rows * (2.0 * e() + 2); // dropped input, mask, mask as bytes twice
    }
    double scores = 2.0 * base.heads() * TILE * longest * e();
    return bytes + scores + 2.0 * base.kvWidth() * longest * e();
  }

  private void logits() {
    double chunk = Math.min(shape.lossChunk(), trainedRows);
    double bytes =
        chunk * base.vocab() * (e() + (e() == 2 ? 4 : 0)) + 4 * chunk * base.hidden() * e();
    add("logits", "of " + (long) chunk + " rows at a time", bytes);
    double held = Math.min(shape.lossChunk(), retainedRows);
    double wide = 5.0 * 4 * Math.min(BaseDivergence.ROWS, held) * base.vocab();
    add(
        "base's answers",
        "logits that --retain-data is held to",
        held * base.vocab() * e() + wide + (2 * held + retainedRows) * base.hidden() * e());
  }
}
