package io.chorale.train.merge;

import io.chorale.format.GgufWriter;
import io.chorale.format.TensorFileOutput;
import io.chorale.format.TensorFileOutput.Entry;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.ModelSpec;
import io.chorale.model.RopeSpec;
import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Writes a merged model as llama.cpp's converter does: q and k rows of llama files with rotary
 * pairs side by side, norms and biases in F32, a tied head left out. A matrix whose rows do not
 * fill blocks of 32 is F16. One thread.
 */
final class GgufModelWriter {
  private interface Body {
    void write(ModelWriter writer, TensorFileOutput out) throws IOException;
  }

  private final MergedModel model;
  private final MergeFormat format;
  private final List<Entry> entries = new ArrayList<>();
  private final List<Body> bodies = new ArrayList<>();

  GgufModelWriter(MergedModel model, MergeFormat format) {
    this.model = model;
    this.format = format;
    plan();
  }

  long bytes() {
    return entries.stream().mapToLong(Entry::bytes).sum();
  }

  private void plan() {
    ModelSpec spec = model.spec();
    for (ModuleId id : model.modules()) {
      String block = "blk." + id.layer() + ".";
      if (id.target() == LoraTarget.Q_PROJ) {
        vector(block + "attn_norm.weight", model.base().norm("input", id.layer()));
        vector(block + "ffn_norm.weight", model.base().norm("post_attention", id.layer()));
        if (spec.qkNorm()) {
          vector(block + "attn_q_norm.weight", model.base().norm("q", id.layer()));
          vector(block + "attn_k_norm.weight", model.base().norm("k", id.layer()));
        }
      }
      String name = (id.target().perLayer() ? block : "") + id.target().ggufName();
      MergedMatrix sizes = model.matrix(id);
      TensorType type = type(id, sizes);
      int[] rows = pairedRows(id);
      entries.add(new Entry(name + ".weight", type, sizes.rows(), sizes.cols()));
      bodies.add((writer, out) -> writer.matrix(out, model.matrix(id), type, rows));
      if (MergedModel.hasBias(spec, id.target())) {
        entries.add(new Entry(name + ".bias", TensorType.F32, sizes.rows()));
        bodies.add(
            (writer, out) ->
                writer.vector(
                    out, name, TensorType.F32, reordered(model.bias(id).orElseThrow(), rows)));
      }
    }
    vector("output_norm.weight", model.base().norm("final", 0));
    ropeFactors(spec.rope(), spec.headDim());
  }

  private TensorType type(ModuleId id, MergedMatrix m) {
    TensorType wanted = id.target().perLayer() ? format.linearType() : format.endType();
    return m.cols() % wanted.blockElements() == 0 ? wanted : TensorType.F16;
  }

  private void vector(String name, float[] values) {
    entries.add(new Entry(name, TensorType.F32, values.length));
    bodies.add((writer, out) -> writer.vector(out, name, TensorType.F32, values));
  }

  /** Llama 3's stretching is a tensor here: how much each frequency is divided by. */
  private void ropeFactors(RopeSpec rope, int headDim) {
    if (rope.scaling() != RopeSpec.Scaling.LLAMA3) {
      return;
    }
    float[] factors = rope.freqFactors();
    if (factors == null) {
      float[] plain = RopeSpec.plain(rope.theta()).inverseFrequencies(headDim);
      float[] stretched = rope.inverseFrequencies(headDim);
      factors = new float[plain.length];
      for (int i = 0; i < plain.length; i++) {
        factors[i] = plain[i] / stretched[i];
      }
    }
    vector("rope_freqs.weight", factors);
  }

  /**
   * For each row of a llama file (pairs side by side) its row in transformers' order (first half,
   * second half); null where the order is the same.
   */
  private int[] pairedRows(ModuleId id) {
    ModelSpec spec = model.spec();
    boolean rotary = id.target() == LoraTarget.Q_PROJ || id.target() == LoraTarget.K_PROJ;
    if (!rotary || !GgufMetadata.architecture(spec).equals("llama")) {
      return null;
    }
    int headDim = spec.headDim();
    int[] rows = new int[id.target() == LoraTarget.Q_PROJ ? spec.qWidth() : spec.kvWidth()];
    for (int i = 0; i < rows.length; i++) {
      int inHead = i % headDim;
      rows[i] = i - inHead + inHead / 2 + inHead % 2 * (headDim / 2);
    }
    return rows;
  }

  private static float[] reordered(float[] values, int[] rows) {
    if (rows == null) {
      return values;
    }
    float[] out = new float[values.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = values[rows[i]];
    }
    return out;
  }

  void write(Path file, ModelWriter writer) throws IOException {
    try (TensorFileOutput out = GgufWriter.create(file, GgufMetadata.of(model, format), entries)) {
      for (Body body : bodies) {
        body.write(writer, out);
      }
      out.finish();
    }
  }
}
