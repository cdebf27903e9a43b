package io.chorale.model;

import io.chorale.format.BitsAndBytesNf4;
import io.chorale.format.GgufFile;
import io.chorale.format.SafetensorsFiles;
import io.chorale.format.TensorData;
import io.chorale.format.TensorFingerprint;
import io.chorale.format.TensorSource;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.quant.BlockDecoder;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * A base model's files on the host: its spec and its weights by module, always in transformers' row
 * order and meaning. Either one GGUF file, a folder with exactly one, or a Hugging Face folder
 * (config.json, safetensors, tokenizer.json, ...), whose linear layers may be bitsandbytes NF4.
 *
 * <p>Opening checks that every tensor the spec needs is there with the shape it needs, and reads no
 * weights but a sample for {@link #fingerprint}. Matrices are views of the mapped files and stay
 * valid after {@link #close}. Any thread.
 */
public final class BaseModelFiles implements AutoCloseable {
  /** Where one kind of model file keeps things. */
  interface Layout {
    ModelSpec spec();

    /** Name of a module's {@code weight} or {@code bias}. */
    String tensorName(ModuleId id, String kind);

    /** Name of the norm input, post_attention, final, q or k. */
    String normName(String which, int layer);

    /** Whether q and k rows have rotary pairs side by side, as llama.cpp's llama files do. */
    boolean rotaryPairsAdjacent();

    Optional<String> tokenizerJson();

    Optional<String> tokenizerConfigJson();

    Map<String, Object> ggufMetadata();

    Optional<String> chatTemplate();
  }

  private final TensorSource source;
  private final Layout layout;
  private final ModelSpec spec;
  private final Quantization quantization;
  private final String fingerprint;

  private BaseModelFiles(TensorSource source, Layout layout, Quantization quantization) {
    this.source = source;
    this.layout = layout;
    this.spec = layout.spec();
    this.quantization = quantization;
    checkSpec();
    this.fingerprint = TensorFingerprint.of(source, checkAll());
  }

  /**
   * Opens and checks a model.
   *
   * @param path a GGUF file, a folder with exactly one, or a Hugging Face folder
   * @param quantize what to do with linear layers in full precision
   * @throws IOException if a file is unreadable or damaged, naming it
   * @throws IllegalArgumentException if the model is of a kind that is not computed, or a tensor is
   *     missing or has the wrong shape, naming what it had and what was wanted
   */
  public static BaseModelFiles open(Path path, Quantization quantize) throws IOException {
    if (!Files.exists(path)) {
      throw new NoSuchFileException(path + ": no such model file or folder");
    }
    boolean folder = Files.isDirectory(path);
    if (folder && Files.exists(path.resolve("config.json"))) {
      return whole(SafetensorsFiles.open(path), source -> new HfLayout(path), quantize);
    }
    if (path.toString().endsWith(".safetensors")) {
      throw new IOException(path + ": is only the weights, wanted the folder with its config.json");
    }
    GgufFile gguf = GgufFile.open(folder ? onlyGguf(path) : path);
    return whole(gguf, source -> new GgufLayout(path, gguf), quantize);
  }

  /** Makes a layout of an opened source. */
  private interface LayoutReader {
    Layout read(TensorSource source) throws IOException;
  }

  private static BaseModelFiles whole(TensorSource source, LayoutReader reader, Quantization q)
      throws IOException {
    try {
      return new BaseModelFiles(source, reader.read(source), q);
    } catch (IOException | RuntimeException e) {
      source.close();
      throw e;
    }
  }

  private static Path onlyGguf(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> found = files.filter(f -> f.toString().endsWith(".gguf")).sorted().toList();
      if (found.size() != 1) {
        throw new IOException(
            "%s: has no config.json and %d .gguf files, wanted a Hugging Face folder or one GGUF"
                    .formatted(folder, found.size())
                + " file; name the file itself if there are several");
      }
      return found.get(0);
    }
  }

  public ModelSpec spec() {
    return spec;
  }

  /**
   * The weight of one module, {@code [outputs, inputs]}; for EMBED_TOKENS [vocab, hidden]; for
   * LM_HEAD the embedding's if the head is tied. Full-precision linear layers come quantized if
   * opened so, anew on each call: ask once.
   *
   * @throws IllegalArgumentException naming the tensor if its values cannot be quantized
   */
  public PackedMatrix linear(ModuleId id) {
    String name = layout.tensorName(stored(id), "weight");
    if (BitsAndBytesNf4.isPacked(source, name)) {
      return BitsAndBytesNf4.read(source, name);
    }
    TensorData tensor = source.tensor(name);
    GgmlMatrix matrix =
        new GgmlMatrix(tensor.type(), outputs(id), inputs(id), tensor.bytes().duplicate());
    if (pairsToHalves(id)) {
      matrix = matrix.permutedRows(rotaryRows(heads(id), spec.headDim()));
    }
    if (!id.target().perLayer() || !fullPrecision(matrix.type())) {
      return matrix;
    }
    try {
      return quantization.apply(matrix);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "tensor '%s' as %s: %s".formatted(name, quantization, e.getMessage()), e);
    }
  }

  /** The bias of one module, float32 [outputs], if the model has it. */
  public Optional<float[]> bias(ModuleId id) {
    if (!hasBias(id)) {
      return Optional.empty();
    }
    float[] values = source.tensor(layout.tensorName(id, "bias")).toFloats();
    if (!pairsToHalves(id)) {
      return Optional.of(values);
    }
    int[] rows = rotaryRows(heads(id), spec.headDim());
    float[] ordered = new float[values.length];
    for (int i = 0; i < rows.length; i++) {
      ordered[i] = values[rows[i]];
    }
    return Optional.of(ordered);
  }

  /**
   * The weight of one RMSNorm, float32.
   *
   * @param which "input", "post_attention" [hidden]; "q", "k" [headDim], Qwen3 only; "final"
   *     [hidden]
   * @param layer ignored for "final"
   */
  public float[] norm(String which, int layer) {
    return source.tensor(layout.normName(which, layer)).toFloats();
  }

  /** The text of tokenizer.json; empty for GGUF, whose tokenizer is in its metadata. */
  public Optional<String> tokenizerJson() {
    return layout.tokenizerJson();
  }

  /**
   * The text of tokenizer_config.json (bos_token, eos_token, ...); empty for GGUF or without one.
   */
  public Optional<String> tokenizerConfigJson() {
    return layout.tokenizerConfigJson();
  }

  /** GGUF metadata as {@link GgufFile#metadata}; empty for a Hugging Face folder. */
  public Map<String, Object> ggufMetadata() {
    return layout.ggufMetadata();
  }

  /** The Jinja source of the chat template, if the files have one. */
  public Optional<String> chatTemplate() {
    return layout.chatTemplate();
  }

  /**
   * Identity of the base for adapters and prefix caches: {@link TensorFingerprint} of every tensor
   * the model uses. Not affected by {@link Quantization}; the same weights in another file format
   * differ.
   */
  public String fingerprint() {
    return fingerprint;
  }

  @Override
  public void close() {
    source.close();
  }

  private ModuleId stored(ModuleId id) {
    return id.target() == LoraTarget.LM_HEAD && spec.tiedHead()
        ? ModuleId.of(LoraTarget.EMBED_TOKENS)
        : id;
  }

  private boolean pairsToHalves(ModuleId id) {
    return layout.rotaryPairsAdjacent()
        && (id.target() == LoraTarget.Q_PROJ || id.target() == LoraTarget.K_PROJ);
  }

  private int heads(ModuleId id) {
    return id.target() == LoraTarget.Q_PROJ ? spec.heads() : spec.kvHeads();
  }

  /** For each row in transformers' order (first half, second half), its row with pairs adjacent. */
  static int[] rotaryRows(int heads, int headDim) {
    int[] rows = new int[heads * headDim];
    for (int i = 0; i < rows.length; i++) {
      int inHead = i % headDim;
      int half = headDim / 2;
      rows[i] = i - inHead + inHead % half * 2 + inHead / half;
    }
    return rows;
  }

  private static boolean fullPrecision(TensorType type) {
    return type == TensorType.F32 || type == TensorType.F16 || type == TensorType.BF16;
  }

  private boolean hasBias(ModuleId id) {
    return switch (id.target()) {
      case Q_PROJ, K_PROJ, V_PROJ -> spec.qkvBias();
      case O_PROJ -> spec.oBias();
      case GATE_PROJ, UP_PROJ, DOWN_PROJ -> spec.mlpBias();
      case EMBED_TOKENS, LM_HEAD -> false;
    };
  }

  private int outputs(ModuleId id) {
    return switch (id.target()) {
      case Q_PROJ -> spec.qWidth();
      case K_PROJ, V_PROJ -> spec.kvWidth();
      case O_PROJ, DOWN_PROJ -> spec.hidden();
      case GATE_PROJ, UP_PROJ -> spec.intermediate();
      case EMBED_TOKENS, LM_HEAD -> spec.vocab();
    };
  }

  private int inputs(ModuleId id) {
    return switch (id.target()) {
      case Q_PROJ, K_PROJ, V_PROJ, GATE_PROJ, UP_PROJ, EMBED_TOKENS, LM_HEAD -> spec.hidden();
      case O_PROJ -> spec.qWidth();
      case DOWN_PROJ -> spec.intermediate();
    };
  }

  private void checkSpec() {
    long widest =
        Math.max(spec.vocab(), Math.max((long) spec.heads() * spec.headDim(), spec.intermediate()));
    if (spec.layers() < 1
        || spec.hidden() < 1
        || spec.intermediate() < 1
        || spec.kvHeads() < 1
        || spec.heads() % spec.kvHeads() != 0
        || spec.headDim() < 2
        || spec.headDim() % 2 != 0
        || widest > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "%s: sizes that fit no model, wanted heads in whole groups of an even width"
              .formatted(spec));
    }
  }

  /** Checks every tensor the model needs and returns their names, sorted. */
  private TreeSet<String> checkAll() {
    TreeSet<String> used = new TreeSet<>();
    checkModule(used, ModuleId.of(LoraTarget.EMBED_TOKENS));
    checkModule(used, stored(ModuleId.of(LoraTarget.LM_HEAD)));
    check(used, layout.normName("final", 0), spec.hidden());
    for (int layer = 0; layer < spec.layers(); layer++) {
      for (LoraTarget target : LoraTarget.values()) {
        if (target.perLayer()) {
          checkModule(used, new ModuleId(layer, target));
        }
      }
      check(used, layout.normName("input", layer), spec.hidden());
      check(used, layout.normName("post_attention", layer), spec.hidden());
      if (spec.qkNorm()) {
        check(used, layout.normName("q", layer), spec.headDim());
        check(used, layout.normName("k", layer), spec.headDim());
      }
    }
    return used;
  }

  private void checkModule(Set<String> used, ModuleId id) {
    String weight = layout.tensorName(id, "weight");
    if (BitsAndBytesNf4.isPacked(source, weight)) {
      PackedMatrix had = BitsAndBytesNf4.read(source, weight);
      checkShape(weight, new long[] {had.rows(), had.cols()}, outputs(id), inputs(id));
      source.names().stream().filter(n -> n.startsWith(weight)).forEach(used::add);
    } else {
      check(used, weight, outputs(id), inputs(id));
    }
    if (hasBias(id)) {
      check(used, layout.tensorName(id, "bias"), outputs(id));
    }
  }

  private void check(Set<String> used, String name, long... wanted) {
    if (!source.names().contains(name)) {
      throw new IllegalArgumentException(
          "model '%s' has no tensor '%s', wanted %s"
              .formatted(spec.name(), name, Arrays.toString(wanted)));
    }
    TensorData tensor = source.tensor(name);
    checkShape(name, tensor.shape(), wanted);
    if (!BlockDecoder.decodes(tensor.type())) {
      throw new IllegalArgumentException(
          "tensor '%s' is of type %s, wanted a float or GGUF block type"
              .formatted(name, tensor.type()));
    }
    used.add(name);
  }

  private void checkShape(String name, long[] had, long... wanted) {
    if (!Arrays.equals(had, wanted)) {
      throw new IllegalArgumentException(
          "model '%s': tensor '%s' is %s, its configuration wants %s"
              .formatted(spec.name(), name, Arrays.toString(had), Arrays.toString(wanted)));
    }
  }
}
