package io.chorale.train.merge;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.chorale.model.Family;
import io.chorale.model.ModelSpec;
import io.chorale.model.RopeSpec;
import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * The config.json of a merged model: the base folder's own with what the merge changes, or one
 * rebuilt from the spec where the base is GGUF.
 */
final class HfConfig {
  private static final ObjectMapper JSON = new ObjectMapper();

  private HfConfig() {}

  /**
   * @param config of the base folder; null for a GGUF base
   * @param nf4 null, or whether its scales are quantized too
   */
  static ObjectNode of(
      ModelSpec spec, Path config, Map<String, Object> gguf, TensorType type, Boolean nf4)
      throws IOException {
    ObjectNode out =
        config != null && Files.exists(config)
            ? (ObjectNode) JSON.readTree(Files.readAllBytes(config))
            : rebuilt(spec, gguf);
    out.remove("torch_dtype");
    out.remove("quantization_config");
    out.put("dtype", dtype(type)).put("torch_dtype", dtype(type));
    out.put("tie_word_embeddings", spec.tiedHead());
    if (spec.family() == Family.LLAMA || spec.family() == Family.QWEN3) {
      out.put("attention_bias", spec.oBias());
    }
    if (spec.family() == Family.LLAMA) {
      out.put("mlp_bias", spec.mlpBias());
    }
    if (nf4 != null) {
      out.putObject("quantization_config")
          .put("quant_method", "bitsandbytes")
          .put("load_in_4bit", true)
          .put("load_in_8bit", false)
          .put("_load_in_4bit", true)
          .put("_load_in_8bit", false)
          .put("bnb_4bit_compute_dtype", dtype(type))
          .put("bnb_4bit_quant_storage", "uint8")
          .put("bnb_4bit_quant_type", "nf4")
          .put("bnb_4bit_use_double_quant", nf4);
    }
    return out;
  }

  static String dtype(TensorType type) {
    return switch (type) {
      case F16 -> "float16";
      case BF16 -> "bfloat16";
      default -> "float32";
    };
  }

  private static ObjectNode rebuilt(ModelSpec spec, Map<String, Object> gguf) {
    Family family = spec.family();
    boolean biased = family == Family.LLAMA && spec.qkvBias() != spec.oBias();
    if (biased) {
      throw new IllegalArgumentException(
          "model '%s' has biases on q, k, v but not on o, which no llama config.json says; choose --to gguf-f16"
              .formatted(spec.name()));
    }
    ObjectNode out = JSON.createObjectNode();
    String name =
        family.name().charAt(0) + family.name().substring(1).toLowerCase(java.util.Locale.ROOT);
    out.putArray("architectures").add(name + "ForCausalLM");
    out.put("model_type", name.toLowerCase(java.util.Locale.ROOT));
    out.put("hidden_act", "silu");
    out.put("hidden_size", spec.hidden());
    out.put("intermediate_size", spec.intermediate());
    out.put("num_hidden_layers", spec.layers());
    out.put("num_attention_heads", spec.heads());
    out.put("num_key_value_heads", spec.kvHeads());
    out.put("head_dim", spec.headDim());
    out.put("vocab_size", spec.vocab());
    out.put("max_position_embeddings", spec.maxPositions());
    out.put("rms_norm_eps", Double.parseDouble(Float.toString(spec.rmsEps())));
    out.put("initializer_range", 0.02).put("use_cache", true);
    if (spec.slidingWindow() > 0) {
      out.put("sliding_window", spec.slidingWindow()).put("use_sliding_window", true);
      out.put("max_window_layers", 0);
    }
    token(out, "bos_token_id", gguf.get("tokenizer.ggml.bos_token_id"));
    token(out, "eos_token_id", gguf.get("tokenizer.ggml.eos_token_id"));
    token(out, "pad_token_id", gguf.get("tokenizer.ggml.padding_token_id"));
    rope(out, spec);
    return out;
  }

  /** An id, or nothing. */
  static void token(ObjectNode out, String key, Object id) {
    if (id instanceof Number number) {
      out.put(key, number.intValue());
    }
  }

  private static void rope(ObjectNode out, ModelSpec spec) {
    RopeSpec rope = spec.rope();
    out.put("rope_theta", rope.theta());
    ObjectNode parameters = JSON.createObjectNode().put("rope_theta", rope.theta());
    switch (rope.scaling()) {
      case NONE -> parameters.put("rope_type", "default");
      case LINEAR -> parameters.put("rope_type", "linear").put("factor", rope.factor());
      case LLAMA3 -> {
        RopeSpec known = rope.freqFactors() == null ? rope : recognised(rope, spec);
        parameters
            .put("rope_type", "llama3")
            .put("factor", known.factor())
            .put("low_freq_factor", known.lowFreqFactor())
            .put("high_freq_factor", known.highFreqFactor())
            .put("original_max_position_embeddings", known.originalPositions());
      }
    }
    out.set("rope_parameters", parameters);
    if (rope.scaling() != RopeSpec.Scaling.NONE) {
      out.set("rope_scaling", parameters.deepCopy());
    }
  }

  /** GGUF keeps the factors only; Meta's own models use one of two settings. */
  private static RopeSpec recognised(RopeSpec rope, ModelSpec spec) {
    float[] wanted = rope.inverseFrequencies(spec.headDim());
    for (int factor : new int[] {8, 32}) {
      RopeSpec guess =
          new RopeSpec(rope.theta(), RopeSpec.Scaling.LLAMA3, factor, 1, 4, 8192, null);
      float[] had = guess.inverseFrequencies(spec.headDim());
      boolean same = true;
      for (int i = 0; i < had.length; i++) {
        same &= Math.abs(had[i] - wanted[i]) <= 1e-5 * wanted[i];
      }
      if (same) {
        return guess;
      }
    }
    throw new IllegalArgumentException(
        "model '%s': its GGUF file stretches rotary frequencies in a way that config.json cannot say; merge into the Hugging Face folder of the base, or --to gguf-f16"
            .formatted(spec.name()));
  }
}
