package io.chorale.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.chorale.lora.ModuleId;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Spec and tensor names of a Hugging Face folder, from its config.json in the layouts of
 * transformers 4 (rope_theta, rope_scaling) and 5 (rope_parameters): model types llama, mistral,
 * qwen2 and qwen3. An option that would change the computation and is not supported is refused by
 * name. Immutable.
 */
final class HfLayout implements BaseModelFiles.Layout {
  private static final List<String> MODEL_TYPES = List.of("llama", "mistral", "qwen2", "qwen3");
  private static final long MAX_TEXT_BYTES = 256L << 20;

  private final Path folder;
  private final JsonNode config;
  private final ModelSpec spec;
  private final Optional<String> tokenizerJson;
  private final Optional<String> tokenizerConfigJson;
  private final Optional<String> chatTemplate;

  HfLayout(Path folder) throws IOException {
    this.folder = folder;
    this.config = json("config.json");
    this.spec = readSpec();
    refuseOtherQuantization();
    this.tokenizerJson = text("tokenizer.json");
    this.tokenizerConfigJson = text("tokenizer_config.json");
    Optional<String> file = text("chat_template.jinja");
    this.chatTemplate = file.isPresent() ? file : templateOf(json("tokenizer_config.json"));
  }

  private ModelSpec readSpec() throws IOException {
    Family family =
        switch (config.path("model_type").asText()) {
          case "llama" -> Family.LLAMA;
          case "mistral" -> Family.MISTRAL;
          case "qwen2" -> Family.QWEN2;
          case "qwen3" -> Family.QWEN3;
          default -> throw bad("model_type", String.join(", ", MODEL_TYPES));
        };
    String act = config.path("hidden_act").asText("silu");
    if (!act.equals("silu")) {
      throw bad("hidden_act", "silu");
    }
    int hidden = integer("hidden_size");
    int heads = integer("num_attention_heads");
    boolean attentionBias =
        (family == Family.LLAMA || family == Family.QWEN3)
            && config.path("attention_bias").asBoolean(false);
    return new ModelSpec(
        folder.toAbsolutePath().normalize().getFileName().toString(),
        family,
        integer("num_hidden_layers"),
        hidden,
        integer("intermediate_size"),
        heads,
        config.hasNonNull("num_key_value_heads") ? integer("num_key_value_heads") : heads,
        config.hasNonNull("head_dim") ? integer("head_dim") : hidden / heads,
        integer("vocab_size"),
        integer("max_position_embeddings"),
        (float) config.path("rms_norm_eps").asDouble(1e-6),
        rope(),
        family == Family.QWEN2 || attentionBias,
        attentionBias,
        family == Family.LLAMA && config.path("mlp_bias").asBoolean(false),
        family == Family.QWEN3,
        window(family),
        config.path("tie_word_embeddings").asBoolean(false),
        endTokens());
  }

  private RopeSpec rope() {
    JsonNode nested = config.path("rope_parameters");
    JsonNode rope = nested.isObject() ? nested : config.path("rope_scaling");
    double theta = rope.path("rope_theta").asDouble(config.path("rope_theta").asDouble(10000));
    double partial =
        rope.path("partial_rotary_factor")
            .asDouble(config.path("partial_rotary_factor").asDouble(1));
    if (partial != 1) {
      throw bad("partial_rotary_factor", "1");
    }
    String type = rope.path("rope_type").asText(rope.path("type").asText("default"));
    return switch (type) {
      case "default" -> RopeSpec.plain(theta);
      case "linear" ->
          new RopeSpec(theta, RopeSpec.Scaling.LINEAR, number(rope, "factor"), 1, 1, 0, null);
      case "llama3" ->
          new RopeSpec(
              theta,
              RopeSpec.Scaling.LLAMA3,
              number(rope, "factor"),
              number(rope, "low_freq_factor"),
              number(rope, "high_freq_factor"),
              (int) number(rope, "original_max_position_embeddings"),
              null);
      default ->
          throw new IllegalArgumentException(
              "%s: rope scaling '%s' is not supported, wanted default, linear or llama3"
                  .formatted(folder.resolve("config.json"), type));
    };
  }

  /** Sliding window of all layers, 0 for none; a model that mixes both kinds is refused. */
  private int window(Family family) {
    int window = config.path("sliding_window").asInt(0);
    if (family == Family.LLAMA || window == 0) {
      return 0;
    }
    if (family == Family.MISTRAL) {
      return window;
    }
    if (!config.path("use_sliding_window").asBoolean(false)) {
      return 0;
    }
    int layers = integer("num_hidden_layers");
    int sliding = Math.max(0, layers - config.path("max_window_layers").asInt(28));
    if (config.path("layer_types").isArray()) {
      sliding = 0;
      for (JsonNode type : config.path("layer_types")) {
        sliding += type.asText().equals("sliding_attention") ? 1 : 0;
      }
    }
    if (sliding != 0 && sliding != layers) {
      throw new IllegalArgumentException(
          "%s: a sliding window in %d of %d layers, wanted it in all or none"
              .formatted(folder.resolve("config.json"), sliding, layers));
    }
    return sliding == 0 ? 0 : window;
  }

  private Set<Integer> endTokens() throws IOException {
    Set<Integer> ids = new LinkedHashSet<>();
    for (JsonNode holder : List.of(json("generation_config.json"), config)) {
      JsonNode eos = holder.path("eos_token_id");
      if (eos.canConvertToInt()) {
        ids.add(eos.asInt());
      }
      for (JsonNode id : eos) {
        ids.add(id.asInt());
      }
    }
    return Set.copyOf(ids);
  }

  private void refuseOtherQuantization() {
    JsonNode quantization = config.path("quantization_config");
    if (!quantization.isObject()) {
      return;
    }
    String method = quantization.path("quant_method").asText("bitsandbytes");
    boolean nf4 =
        method.equals("bitsandbytes")
            && quantization.path("load_in_4bit").asBoolean(false)
            && quantization.path("bnb_4bit_quant_type").asText("fp4").equals("nf4");
    if (!nf4) {
      String kind =
          method.equals("bitsandbytes")
              ? quantization.path("load_in_8bit").asBoolean(false)
                  ? "bitsandbytes 8-bit"
                  : "bitsandbytes " + quantization.path("bnb_4bit_quant_type").asText("fp4")
              : method;
      throw new IllegalArgumentException(
          "%s: quantized with %s, wanted bitsandbytes nf4 or a full-precision model"
              .formatted(folder.resolve("config.json"), kind));
    }
  }

  private static Optional<String> templateOf(JsonNode tokenizerConfig) {
    JsonNode template = tokenizerConfig.path("chat_template");
    if (template.isTextual()) {
      return Optional.of(template.asText());
    }
    for (JsonNode named : template) {
      if (named.path("name").asText().equals("default")) {
        return Optional.of(named.path("template").asText());
      }
    }
    return Optional.empty();
  }

  private double number(JsonNode holder, String field) {
    if (!holder.path(field).isNumber()) {
      throw new IllegalArgumentException(
          "%s: rope parameter '%s' is %s, wanted a number"
              .formatted(folder.resolve("config.json"), field, holder.path(field)));
    }
    return holder.path(field).asDouble();
  }

  private int integer(String field) {
    JsonNode value = config.path(field);
    if (!value.canConvertToInt() || value.asInt() < 1) {
      throw bad(field, "a whole number above 0");
    }
    return value.asInt();
  }

  private IllegalArgumentException bad(String field, String wanted) {
    JsonNode had = config.path(field);
    return new IllegalArgumentException(
        "%s: %s is %s, wanted %s"
            .formatted(
                folder.resolve("config.json"),
                field,
                had.isMissingNode() ? "missing" : had,
                wanted));
  }

  private JsonNode json(String name) throws IOException {
    Optional<String> text = text(name);
    if (text.isEmpty()) {
      return MissingNode.getInstance();
    }
    try {
      return new ObjectMapper().readTree(text.get());
    } catch (IOException e) {
      throw new IOException("%s: %s".formatted(folder.resolve(name), e.getMessage()), e);
    }
  }

  private Optional<String> text(String name) throws IOException {
    Path file = folder.resolve(name);
    if (!Files.isRegularFile(file)) {
      return Optional.empty();
    }
    if (Files.size(file) > MAX_TEXT_BYTES) {
      throw new IOException(
          "%s: has %d bytes, wanted at most %d".formatted(file, Files.size(file), MAX_TEXT_BYTES));
    }
    return Optional.of(new String(Files.readAllBytes(file), StandardCharsets.UTF_8));
  }

  @Override
  public ModelSpec spec() {
    return spec;
  }

  @Override
  public String tensorName(ModuleId id, String kind) {
    return switch (id.target()) {
      case LM_HEAD -> "lm_head." + kind;
      default -> "model." + id + "." + kind;
    };
  }

  @Override
  public String normName(String which, int layer) {
    return switch (which) {
      case "input" -> "model.layers." + layer + ".input_layernorm.weight";
      case "post_attention" -> "model.layers." + layer + ".post_attention_layernorm.weight";
      case "q" -> "model.layers." + layer + ".self_attn.q_norm.weight";
      case "k" -> "model.layers." + layer + ".self_attn.k_norm.weight";
      case "final" -> "model.norm.weight";
      default -> throw new IllegalArgumentException("no norm '" + which + "'");
    };
  }

  @Override
  public boolean rotaryPairsAdjacent() {
    return false;
  }

  @Override
  public Optional<String> tokenizerJson() {
    return tokenizerJson;
  }

  @Override
  public Optional<String> tokenizerConfigJson() {
    return tokenizerConfigJson;
  }

  @Override
  public Map<String, Object> ggufMetadata() {
    return Map.of();
  }

  @Override
  public Optional<String> chatTemplate() {
    return chatTemplate;
  }
}
