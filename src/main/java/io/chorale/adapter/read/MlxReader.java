package io.chorale.adapter.read;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.format.TensorData;
import io.chorale.format.TensorSource;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.ModelSpec;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeSet;

/**
 * Reads an adapter of mlx-lm 0.32: {@code MODULE.lora_a} [in, rank], {@code MODULE.lora_b} [rank,
 * out], for DoRA {@code MODULE.m} [out], and one {@code lora_parameters.scale} that multiplies the
 * update as it is (not alpha / rank). Factors are turned into {@link LoraModule}'s order.
 *
 * <p>MLX uses an adapted embedding of a tied model at both ends, so there it becomes two modules.
 */
public final class MlxReader {
  public static final String WEIGHTS = "adapters.safetensors";

  private static final String A = ".lora_a";
  private static final String B = ".lora_b";
  private static final String MAGNITUDE = ".m";

  private final TensorSource tensors;
  private final ModelSpec spec;
  private final boolean dora;
  private final float scale;

  private MlxReader(TensorSource tensors, ModelSpec spec, boolean dora, float scale) {
    this.tensors = tensors;
    this.spec = spec;
    this.dora = dora;
    this.scale = scale;
  }

  /**
   * @param configJson {@code adapter_config.json}
   * @param tensors of {@link #WEIGHTS}; may be closed afterwards
   * @throws IllegalArgumentException with the precise reason
   */
  public static AdapterContents read(byte[] configJson, TensorSource tensors, ModelSpec spec) {
    JsonNode config;
    try {
      config = new ObjectMapper().readTree(configJson);
    } catch (IOException e) {
      throw new IllegalArgumentException("adapter_config.json is not JSON", e);
    }
    String type = config.path("fine_tune_type").asText("lora");
    if (!type.equals("lora") && !type.equals("dora")) {
      throw new IllegalArgumentException(
          "fine_tune_type is '%s', wanted lora or dora; a fully tuned MLX model is a base of its own, serve it with --model"
              .formatted(type));
    }
    JsonNode scale = config.path("lora_parameters").path("scale");
    if (!scale.isNumber() || !Float.isFinite(scale.floatValue())) {
      throw new IllegalArgumentException(
          "lora_parameters.scale is %s, wanted a number; MLX keeps it in adapter_config.json"
              .formatted(scale.isMissingNode() ? "absent" : scale));
    }
    return new MlxReader(tensors, spec, type.equals("dora"), scale.floatValue()).read();
  }

  private AdapterContents read() {
    Map<String, ModuleId> known = PeftTargets.modules(spec);
    Map<ModuleId, LoraModule> modules = new LinkedHashMap<>();
    for (String name : new TreeSet<>(tensors.names())) {
      String ending = name.endsWith(A) ? A : name.endsWith(B) ? B : MAGNITUDE;
      ModuleId id =
          name.endsWith(ending)
              ? known.get(name.substring(0, name.length() - ending.length()))
              : null;
      if (id == null || (ending.equals(MAGNITUDE) && !dora)) {
        throw new IllegalArgumentException(
            "tensor %s is no part of an MLX %s adapter of base model '%s' (%d layers)"
                .formatted(name, dora ? "DoRA" : "LoRA", spec.name(), spec.layers()));
      }
      if (!ending.equals(A)) {
        requirePartner(name, name.substring(0, name.length() - ending.length()) + A);
        continue;
      }
      add(modules, id, name.substring(0, name.length() - A.length()));
    }
    if (modules.isEmpty()) {
      throw new IllegalArgumentException("it has no tensors");
    }
    return AdapterContents.of(modules, dora ? "dora" : "lora");
  }

  private void requirePartner(String name, String partner) {
    if (!tensors.names().contains(partner)) {
      throw new IllegalArgumentException("tensor %s has no partner %s".formatted(name, partner));
    }
  }

  private void add(Map<ModuleId, LoraModule> modules, ModuleId id, String module) {
    requirePartner(module + A, module + B);
    if (dora) {
      requirePartner(module + A, module + MAGNITUDE);
    }
    boolean embedding = id.target() == LoraTarget.EMBED_TOKENS;
    if (embedding && dora) {
      throw new IllegalArgumentException(
          module
              + " is an embedding with MLX's DoRA, which no other program computes; train it with LoRA");
    }
    Widths widths = Widths.of(id.target(), spec);
    TensorData a = tensors.tensor(module + A);
    TensorData b = tensors.tensor(module + B);
    long rank = a.shape().length == 2 ? a.shape()[1] : 0;
    if (rank < 1 || rank > PeftTargets.MAX_RANK) {
      throw new IllegalArgumentException(
          "%s has rank %d, wanted 1..%d".formatted(a.name(), rank, PeftTargets.MAX_RANK));
    }
    Widths.requireShape(a, a.name(), widths.in(), rank);
    Widths.requireShape(b, b.name(), rank, widths.out());
    TensorData magnitude = null;
    if (dora) {
      magnitude = HostTensors.copy(tensors.tensor(module + MAGNITUDE));
      Widths.requireShape(magnitude, magnitude.name(), widths.out());
    }
    TensorData hostA = HostTensors.copy(a);
    TensorData hostB = HostTensors.copy(b);
    TensorData turnedA = HostTensors.transpose(hostA); // [rank, in]
    TensorData turnedB = HostTensors.transpose(hostB); // [out, rank]
    modules.put(id, new LoraModule((int) rank, scale, turnedA, turnedB, null, magnitude, null));
    if (embedding && spec.tiedHead()) { // y += scale * (x lora_b^T) lora_a^T
      modules.put(
          ModuleId.of(LoraTarget.LM_HEAD),
          new LoraModule((int) rank, scale, hostB, hostA, null, null, null));
    }
  }
}
