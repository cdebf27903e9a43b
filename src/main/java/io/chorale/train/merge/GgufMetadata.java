package io.chorale.train.merge;

import io.chorale.model.BaseModelFiles;
import io.chorale.model.Family;
import io.chorale.model.ModelSpec;
import io.chorale.model.RopeSpec;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/** The metadata of a merged GGUF file: the base's own, or built from a Hugging Face folder. */
final class GgufMetadata {
  private GgufMetadata() {}

  static Map<String, Object> of(MergedModel model, MergeFormat format) {
    BaseModelFiles base = model.base();
    Map<String, Object> out = new LinkedHashMap<>();
    if (base.ggufMetadata().isEmpty()) {
      fromSpec(out, model.spec());
      new GgufTokenizer(base, model.spec().vocab()).into(out);
    } else {
      out.putAll(base.ggufMetadata());
      out.keySet().removeIf(key -> key.startsWith("split.") || key.equals("general.alignment"));
    }
    out.put("general.file_type", format.ggufFileType());
    out.put("general.quantization_version", 2);
    return out;
  }

  /** llama.cpp's name of the family. */
  static String architecture(ModelSpec spec) {
    return spec.family() == Family.MISTRAL
        ? "llama"
        : spec.family().name().toLowerCase(Locale.ROOT);
  }

  private static void fromSpec(Map<String, Object> out, ModelSpec spec) {
    String arch = architecture(spec);
    out.put("general.architecture", arch);
    out.put("general.type", "model");
    out.put("general.name", spec.name());
    out.put(arch + ".block_count", spec.layers());
    out.put(arch + ".context_length", spec.maxPositions());
    out.put(arch + ".embedding_length", spec.hidden());
    out.put(arch + ".feed_forward_length", spec.intermediate());
    out.put(arch + ".attention.head_count", spec.heads());
    out.put(arch + ".attention.head_count_kv", spec.kvHeads());
    out.put(arch + ".attention.key_length", spec.headDim());
    out.put(arch + ".attention.value_length", spec.headDim());
    out.put(arch + ".attention.layer_norm_rms_epsilon", spec.rmsEps());
    out.put(arch + ".rope.freq_base", (float) spec.rope().theta());
    out.put(arch + ".rope.dimension_count", spec.headDim());
    out.put(arch + ".vocab_size", spec.vocab());
    if (spec.rope().scaling() == RopeSpec.Scaling.LINEAR) {
      out.put(arch + ".rope.scaling.type", "linear");
      out.put(arch + ".rope.scaling.factor", (float) spec.rope().factor());
    }
  }
}
