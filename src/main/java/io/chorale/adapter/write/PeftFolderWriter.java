package io.chorale.adapter.write;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.chorale.adapter.read.AdapterContents;
import io.chorale.adapter.read.PeftTargets;
import io.chorale.format.PeftAdapterFiles;
import io.chorale.format.SafetensorsWriter;
import io.chorale.format.TensorData;
import io.chorale.format.TensorFileOutput;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.ModelSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Writes {@code adapter_config.json} and {@code adapter_model.safetensors} as PEFT 0.21.2 reads
 * them. Tensors keep their element type. Rank and alpha are those of most modules; the others are
 * named, whole, in rank_pattern and alpha_pattern. A scaling of rsLoRA is written as the plain
 * alpha that gives the same factor.
 */
public final class PeftFolderWriter {
  private static final String PREFIX = "base_model.model.";

  private PeftFolderWriter() {}

  /**
   * @param folder must be there and have neither file
   * @param base the base's name, for people
   * @param baseFingerprint the server refuses the adapter on another base
   */
  public static void write(
      Path folder, AdapterContents adapter, ModelSpec spec, String base, String baseFingerprint)
      throws IOException {
    List<Map.Entry<ModuleId, LoraModule>> modules =
        adapter.modules().entrySet().stream()
            .sorted(Comparator.comparing(entry -> entry.getKey().index(spec.layers())))
            .toList();
    ObjectMapper json = new ObjectMapper();
    ObjectNode config = config(json.createObjectNode(), modules);
    config.put("base_model_name_or_path", base);
    config.put(PeftAdapterFiles.BASE_FINGERPRINT, baseFingerprint);
    Files.write(
        folder.resolve(PeftAdapterFiles.CONFIG),
        json.writerWithDefaultPrettyPrinter().writeValueAsBytes(config));
    List<TensorData> tensors = new ArrayList<>();
    modules.forEach(entry -> add(tensors, entry.getKey(), entry.getValue()));
    List<TensorFileOutput.Entry> entries =
        tensors.stream()
            .map(t -> new TensorFileOutput.Entry(t.name(), t.type(), t.shape()))
            .toList();
    try (TensorFileOutput out =
        SafetensorsWriter.create(
            folder.resolve(PeftAdapterFiles.WEIGHTS), Map.of("format", "pt"), entries)) {
      for (TensorData tensor : tensors) {
        out.append(tensor.bytes().duplicate());
      }
      out.finish();
    }
  }

  private static ObjectNode config(
      ObjectNode config, List<Map.Entry<ModuleId, LoraModule>> modules) {
    Map<Integer, Integer> ranks = new HashMap<>();
    Map<Double, Integer> alphas = new HashMap<>();
    boolean dora = false;
    boolean bias = false;
    for (Map.Entry<ModuleId, LoraModule> entry : modules) {
      LoraModule module = entry.getValue();
      if (module.replacement() == null) {
        ranks.merge(module.rank(), 1, Integer::sum);
        alphas.merge(alpha(module), 1, Integer::sum);
        dora |= module.magnitude() != null;
        bias |= module.bias() != null;
      }
    }
    int rank = most(ranks, 1);
    double alpha = most(alphas, 1.0);
    config.put("peft_type", "LORA").put("task_type", "CAUSAL_LM").put("inference_mode", true);
    config.put("r", rank).put("lora_alpha", alpha).put("lora_dropout", 0.0).put("bias", "none");
    config.put("fan_in_fan_out", false).put("use_rslora", false);
    config.put("use_dora", dora).put("lora_bias", bias).put("init_lora_weights", true);
    ArrayNode targets = config.putArray("target_modules");
    ObjectNode rankPattern = config.putObject("rank_pattern");
    ObjectNode alphaPattern = config.putObject("alpha_pattern");
    ArrayNode saved = config.putArray("modules_to_save");
    for (Map.Entry<ModuleId, LoraModule> entry : modules) {
      String key = PeftTargets.key(entry.getKey());
      LoraModule module = entry.getValue();
      if (module.replacement() != null) {
        saved.add(entry.getKey().target().shortName());
        continue;
      }
      targets.add(key);
      if (module.rank() != rank) {
        rankPattern.put(key, module.rank());
      }
      if (alpha(module) != alpha) {
        alphaPattern.put(key, alpha(module));
      }
    }
    return config;
  }

  private static double alpha(LoraModule module) {
    return (double) module.scaling() * module.rank();
  }

  private static <T> T most(Map<T, Integer> votes, T none) {
    return votes.entrySet().stream()
        .max(Map.Entry.comparingByValue())
        .map(Map.Entry::getKey)
        .orElse(none);
  }

  private static void add(List<TensorData> tensors, ModuleId id, LoraModule module) {
    String key = PREFIX + PeftTargets.key(id);
    boolean embedding = id.target() == LoraTarget.EMBED_TOKENS;
    put(tensors, module.a(), key + (embedding ? ".lora_embedding_A" : ".lora_A.weight"));
    put(tensors, module.b(), key + (embedding ? ".lora_embedding_B" : ".lora_B.weight"));
    put(tensors, module.bias(), key + ".lora_B.bias");
    put(tensors, module.magnitude(), key + ".lora_magnitude_vector");
    put(tensors, module.replacement(), key + ".weight");
  }

  private static void put(List<TensorData> tensors, TensorData tensor, String name) {
    if (tensor != null) {
      tensors.add(new TensorData(name, tensor.type(), tensor.shape(), tensor.bytes()));
    }
  }
}
