package io.chorale.model;

import io.chorale.format.GgufFile;
import io.chorale.lora.ModuleId;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Spec and tensor names of a GGUF file as llama.cpp's converter writes them: architectures llama
 * (also Mistral's, with q and k rows permuted), qwen2 and qwen3. Immutable.
 */
final class GgufLayout implements BaseModelFiles.Layout {
  private static final List<String> ARCHITECTURES = List.of("llama", "qwen2", "qwen3");

  /** Spellings of end-of-generation tokens that llama.cpp honours in any vocabulary. */
  private static final Set<String> END_TOKENS =
      Set.of(
          "<|eot_id|>",
          "<|im_end|>",
          "<|end|>",
          "<|return|>",
          "<|call|>",
          "<|calls|>",
          "<|flush|>",
          "<end_of_turn>",
          "<|endoftext|>",
          "<|end_of_text|>",
          "<|eom_id|>",
          "<EOT>",
          "_<EOT>",
          "<end_of_utterance>");

  private final Path file;
  private final GgufFile gguf;
  private final String arch;
  private final ModelSpec spec;

  GgufLayout(Path file, GgufFile gguf) {
    this.file = file;
    this.gguf = gguf;
    if (!(gguf.metadata().get("general.architecture") instanceof String name)) {
      throw new IllegalArgumentException(
          file + ": has no general.architecture, wanted one of " + ARCHITECTURES);
    }
    this.arch = name;
    this.spec = readSpec();
  }

  private ModelSpec readSpec() {
    Family family =
        switch (arch) {
          case "llama" -> Family.LLAMA;
          case "qwen2" -> Family.QWEN2;
          case "qwen3" -> Family.QWEN3;
          default ->
              throw new IllegalArgumentException(
                  "%s: architecture '%s' is not supported, wanted one of %s"
                      .formatted(file, arch, ARCHITECTURES));
        };
    if (optional("expert_count") != null && integer("expert_count") > 0) {
      throw new IllegalArgumentException(
          "%s: a mixture of %d experts, wanted a dense model"
              .formatted(file, integer("expert_count")));
    }
    int hidden = integer("embedding_length");
    int heads = integer("attention.head_count");
    int headDim = integerOr("attention.key_length", hidden / Math.max(1, heads));
    wantEqual("attention.value_length", headDim);
    wantEqual("rope.dimension_count", headDim);
    return new ModelSpec(
        gguf.metadata().get("general.name") instanceof String s ? s : file.getFileName().toString(),
        family,
        integer("block_count"),
        hidden,
        integer("feed_forward_length"),
        heads,
        integerOr("attention.head_count_kv", heads),
        headDim,
        vocab(),
        integer("context_length"),
        (float) number("attention.layer_norm_rms_epsilon").doubleValue(),
        rope(headDim),
        gguf.names().contains("blk.0.attn_q.bias"),
        gguf.names().contains("blk.0.attn_output.bias"),
        gguf.names().contains("blk.0.ffn_up.bias"),
        family == Family.QWEN3,
        integerOr("attention.sliding_window", 0),
        !gguf.names().contains("output.weight"),
        endTokens());
  }

  private RopeSpec rope(int headDim) {
    Number base = optional("rope.freq_base") == null ? 10000 : number("rope.freq_base");
    double theta = base.doubleValue();
    float[] factors = null;
    if (gguf.names().contains("rope_freqs.weight")) {
      factors = gguf.tensor("rope_freqs.weight").toFloats();
      if (factors.length != headDim / 2) {
        throw new IllegalArgumentException(
            "%s: tensor 'rope_freqs.weight' has %d values, wanted %d"
                .formatted(file, factors.length, headDim / 2));
      }
    }
    String type = optional("rope.scaling.type") instanceof String s ? s : "none";
    String factorKey =
        optional("rope.scale_linear") == null ? "rope.scaling.factor" : "rope.scale_linear";
    double factor = optional(factorKey) == null ? 1 : number(factorKey).doubleValue();
    if (type.equals("none") && optional("rope.scale_linear") != null) {
      type = "linear";
    }
    RopeSpec.Scaling scaling =
        switch (type) {
          case "none" -> factors == null ? RopeSpec.Scaling.NONE : RopeSpec.Scaling.LLAMA3;
          case "linear" -> RopeSpec.Scaling.LINEAR;
          default ->
              throw new IllegalArgumentException(
                  "%s: rope scaling '%s' is not supported, wanted none or linear (or rope_freqs.weight)"
                      .formatted(file, type));
        };
    return new RopeSpec(
        theta, scaling, scaling == RopeSpec.Scaling.LINEAR ? factor : 1, 1, 1, 0, factors);
  }

  private int vocab() {
    if (!gguf.names().contains("token_embd.weight")) {
      throw new IllegalArgumentException(file + ": has no tensor 'token_embd.weight'");
    }
    return Math.toIntExact(gguf.tensor("token_embd.weight").shape()[0]);
  }

  private Set<Integer> endTokens() {
    Set<Integer> ids = new LinkedHashSet<>();
    for (String key : List.of("eos_token_id", "eot_token_id", "eom_token_id")) {
      if (gguf.metadata().get("tokenizer.ggml." + key) instanceof Number id) {
        ids.add(id.intValue());
      }
    }
    if (gguf.metadata().get("tokenizer.ggml.tokens") instanceof List<?> tokens) {
      for (int i = 0; i < tokens.size(); i++) {
        if (tokens.get(i) instanceof String text && END_TOKENS.contains(text)) {
          ids.add(i);
        }
      }
    }
    return Set.copyOf(ids);
  }

  private Object optional(String key) {
    return gguf.metadata().get(arch + "." + key);
  }

  private Number number(String key) {
    if (optional(key) instanceof Number value) {
      return value;
    }
    throw new IllegalArgumentException(
        "%s: metadata key '%s.%s' is %s, wanted a number"
            .formatted(file, arch, key, optional(key) == null ? "missing" : optional(key)));
  }

  private int integer(String key) {
    double value = number(key).doubleValue();
    if (value != Math.rint(value) || value < 0 || value > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "%s: metadata key '%s.%s' is %s, wanted a whole number"
              .formatted(file, arch, key, value));
    }
    return (int) value;
  }

  private int integerOr(String key, int otherwise) {
    return optional(key) == null ? otherwise : integer(key);
  }

  private void wantEqual(String key, int wanted) {
    if (optional(key) != null && integer(key) != wanted) {
      throw new IllegalArgumentException(
          "%s: metadata key '%s.%s' is %d, only the head's width of %d is supported"
              .formatted(file, arch, key, integer(key), wanted));
    }
  }

  @Override
  public ModelSpec spec() {
    return spec;
  }

  @Override
  public String tensorName(ModuleId id, String kind) {
    return (id.target().perLayer() ? "blk." + id.layer() + "." : "")
        + id.target().ggufName()
        + "."
        + kind;
  }

  @Override
  public String normName(String which, int layer) {
    return switch (which) {
      case "input" -> "blk." + layer + ".attn_norm.weight";
      case "post_attention" -> "blk." + layer + ".ffn_norm.weight";
      case "q" -> "blk." + layer + ".attn_q_norm.weight";
      case "k" -> "blk." + layer + ".attn_k_norm.weight";
      case "final" -> "output_norm.weight";
      default -> throw new IllegalArgumentException("no norm '" + which + "'");
    };
  }

  @Override
  public boolean rotaryPairsAdjacent() {
    return arch.equals("llama");
  }

  @Override
  public Optional<String> tokenizerJson() {
    return Optional.empty();
  }

  @Override
  public Optional<String> tokenizerConfigJson() {
    return Optional.empty();
  }

  @Override
  public Map<String, Object> ggufMetadata() {
    return gguf.metadata();
  }

  @Override
  public Optional<String> chatTemplate() {
    return gguf.metadata().get("tokenizer.chat_template") instanceof String s
        ? Optional.of(s)
        : Optional.empty();
  }
}
