package io.chorale.train.merge;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.chorale.format.SafetensorsWriter;
import io.chorale.format.TensorFileOutput;
import io.chorale.format.TensorFileOutput.Entry;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.ModelSpec;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Writes a merged model as transformers saves one: model.safetensors, or numbered shards and their
 * index above the shard limit. NF4 matrices are saved as bitsandbytes' tensors. One thread.
 */
final class HfFolderWriter {
  /** Room for a quant_state's JSON, whose length depends on the number in it; padded by spaces. */
  private static final int STATE_BYTES = 256;

  /** One module's or norm's tensors, which stay together in a shard. */
  private interface Body {
    void write(ModelWriter writer, TensorFileOutput out) throws IOException;
  }

  private record Piece(List<Entry> entries, Body body) {
    private long bytes() {
      return entries.stream().mapToLong(Entry::bytes).sum();
    }
  }

  private final MergedModel model;
  private final TensorType type;

  /** Null unless the linear layers become NF4; then whether its scales are quantized too. */
  private final Boolean nf4;

  private final List<Piece> pieces = new ArrayList<>();

  HfFolderWriter(MergedModel model, MergeFormat format) {
    this.model = model;
    var base = model.base();
    if (format == MergeFormat.NF4) {
      this.type =
          ModelWriter.floatType(base.linear(ModuleId.of(LoraTarget.EMBED_TOKENS)), TensorType.F16);
      this.nf4 =
          base.linear(new ModuleId(0, LoraTarget.Q_PROJ)) instanceof Nf4Matrix stored
              && stored.doubleQuant().isPresent();
    } else {
      this.type = format.linearType();
      this.nf4 = null;
    }
    plan();
  }

  long bytes() {
    return pieces.stream().mapToLong(Piece::bytes).sum();
  }

  private void plan() {
    ModelSpec spec = model.spec();
    for (ModuleId id : model.modules()) {
      if (id.target() == LoraTarget.Q_PROJ) {
        norm("input", "model.layers." + id.layer() + ".input_layernorm", id.layer());
        norm(
            "post_attention",
            "model.layers." + id.layer() + ".post_attention_layernorm",
            id.layer());
        if (spec.qkNorm()) {
          norm("q", "model.layers." + id.layer() + ".self_attn.q_norm", id.layer());
          norm("k", "model.layers." + id.layer() + ".self_attn.k_norm", id.layer());
        }
      }
      String name = (id.target() == LoraTarget.LM_HEAD ? "" : "model.") + id;
      if (nf4 != null && id.target().perLayer()) {
        quantized(id, name + ".weight");
      } else {
        MergedMatrix sizes = model.matrix(id);
        piece(
            new Entry(name + ".weight", type, sizes.rows(), sizes.cols()),
            (writer, out) -> writer.matrix(out, model.matrix(id), type, null));
      }
      if (MergedModel.hasBias(spec, id.target())) {
        piece(
            new Entry(name + ".bias", type, model.matrix(id).rows()),
            (writer, out) -> writer.vector(out, name, type, model.bias(id).orElseThrow()));
      }
    }
    norm("final", "model.norm", 0);
  }

  private void piece(Entry entry, Body body) {
    pieces.add(new Piece(List.of(entry), body));
  }

  private void norm(String which, String name, int layer) {
    float[] values = model.base().norm(which, layer);
    piece(
        new Entry(name + ".weight", type, values.length),
        (writer, out) -> writer.vector(out, name, type, values));
  }

  private void quantized(ModuleId id, String name) {
    MergedMatrix sizes = model.matrix(id);
    long elements = (long) sizes.rows() * sizes.cols();
    long blocks = (elements + Nf4Matrix.BLOCK_SIZE - 1) / Nf4Matrix.BLOCK_SIZE;
    List<Entry> entries = new ArrayList<>();
    entries.add(new Entry(name, TensorType.U8, (elements + 1) / 2, 1));
    entries.add(new Entry(name + ".absmax", nf4 ? TensorType.U8 : TensorType.F32, blocks));
    if (nf4) {
      long groups = (blocks + 255) / 256;
      entries.add(new Entry(name + ".nested_absmax", TensorType.F32, groups));
      entries.add(new Entry(name + ".nested_quant_map", TensorType.F32, 256));
    }
    entries.add(new Entry(name + ".quant_map", TensorType.F32, 16));
    entries.add(new Entry(name + ".quant_state.bitsandbytes__nf4", TensorType.U8, STATE_BYTES));
    pieces.add(
        new Piece(
            entries,
            (writer, out) -> {
              Nf4Matrix packed = writer.nf4(model.matrix(id), nf4);
              writer.append(out, packed.packed());
              if (nf4) {
                var scales = packed.doubleQuant().orElseThrow();
                writer.append(out, ByteBuffer.wrap(scales.codes()));
                writer.append(out, floats(scales.absmax()));
                writer.append(out, floats(scales.code()));
              } else {
                writer.append(out, floats(packed.absmax()));
              }
              writer.append(out, floats(Nf4Matrix.code()));
              writer.append(out, state(packed));
            }));
  }

  private static ByteBuffer floats(float[] values) {
    ByteBuffer out = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    out.asFloatBuffer().put(values);
    return out;
  }

  private ByteBuffer state(Nf4Matrix packed) {
    ObjectNode state = new ObjectMapper().createObjectNode();
    state.put("quant_type", "nf4").put("blocksize", Nf4Matrix.BLOCK_SIZE);
    state.put("dtype", HfConfig.dtype(type));
    state.putArray("shape").add(packed.rows()).add(packed.cols());
    packed
        .doubleQuant()
        .ifPresent(
            scales ->
                state
                    .put("nested_blocksize", Nf4Matrix.DoubleQuant.BLOCK_SIZE)
                    .put("nested_dtype", "float32")
                    .put("nested_offset", (double) scales.offset()));
    byte[] json = state.toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(STATE_BYTES).put(json);
    while (out.hasRemaining()) {
      out.put((byte) ' ');
    }
    return out.flip();
  }

  /**
   * Writes everything into an empty folder.
   *
   * @param baseFolder of a Hugging Face base; null for GGUF
   */
  void write(Path folder, Path baseFolder, long maxShardBytes, ModelWriter writer)
      throws IOException {
    List<List<Piece>> shards = shards(maxShardBytes);
    ObjectNode index = new ObjectMapper().createObjectNode();
    index.putObject("metadata").put("total_size", bytes());
    ObjectNode map = index.putObject("weight_map");
    for (int i = 0; i < shards.size(); i++) {
      String name =
          shards.size() == 1
              ? "model.safetensors"
              : "model-%05d-of-%05d.safetensors".formatted(i + 1, shards.size());
      List<Entry> entries = shards.get(i).stream().flatMap(p -> p.entries.stream()).toList();
      entries.forEach(entry -> map.put(entry.name(), name));
      try (TensorFileOutput out =
          SafetensorsWriter.create(folder.resolve(name), Map.of("format", "pt"), entries)) {
        for (Piece piece : shards.get(i)) {
          piece.body.write(writer, out);
        }
        out.finish();
      }
    }
    if (shards.size() > 1) {
      Files.writeString(folder.resolve("model.safetensors.index.json"), index.toPrettyString());
    }
    ModelSpec spec = model.spec();
    Map<String, Object> gguf = model.base().ggufMetadata();
    if (baseFolder != null) {
      HfTokenizerFiles.copy(baseFolder, folder);
    } else {
      HfTokenizerFiles.rebuild(gguf, spec.endTokenIds(), spec.maxPositions(), folder);
    }
    Path config = baseFolder == null ? null : baseFolder.resolve("config.json");
    Files.writeString(
        folder.resolve("config.json"), HfConfig.of(spec, config, gguf, type, nf4).toPrettyString());
  }

  private List<List<Piece>> shards(long maxShardBytes) {
    List<List<Piece>> shards = new ArrayList<>();
    long used = 0;
    for (Piece piece : pieces) {
      if (shards.isEmpty() || used + piece.bytes() > maxShardBytes) {
        shards.add(new ArrayList<>());
        used = 0;
      }
      shards.get(shards.size() - 1).add(piece);
      used += piece.bytes();
    }
    return shards;
  }
}
