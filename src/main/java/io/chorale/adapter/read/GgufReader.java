package io.chorale.adapter.read;

import io.chorale.format.TensorData;
import io.chorale.format.TensorSource;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.Family;
import io.chorale.model.ModelSpec;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/**
 * Reads a GGUF adapter as llama.cpp's convert_lora_to_gguf.py writes it: {@code
 * blk.N.attn_q.weight.lora_a} [rank, in] and {@code .lora_b} [out, rank], scaling {@code
 * adapter.lora.alpha / rank}, no DoRA, no biases. Of {@code token_embd} lora_a is stored
 * transposed; of the Llama architecture's q and k the rows of lora_b are in llama.cpp's rotary
 * order. Both are turned back.
 */
public final class GgufReader {
  private static final String A = ".weight.lora_a";
  private static final String B = ".weight.lora_b";

  private final Map<String, Object> metadata;
  private final TensorSource tensors;
  private final ModelSpec spec;

  private GgufReader(Map<String, Object> metadata, TensorSource tensors, ModelSpec spec) {
    this.metadata = metadata;
    this.tensors = tensors;
    this.spec = spec;
  }

  /**
   * @param tensors of the same file; may be closed afterwards
   * @throws IllegalArgumentException with the precise reason
   */
  public static AdapterContents read(
      Map<String, Object> metadata, TensorSource tensors, ModelSpec spec) {
    return new GgufReader(metadata, tensors, spec).read();
  }

  private AdapterContents read() {
    requireText("general.type", "adapter");
    requireText("adapter.type", "lora");
    requireText("general.architecture", architecture());
    if (metadata.containsKey("adapter.alora.invocation_tokens")) {
      throw new IllegalArgumentException(
          "it has adapter.alora.invocation_tokens: activated LoRA is not served");
    }
    float alpha = alpha();
    Map<ModuleId, LoraModule> modules = new LinkedHashMap<>();
    Map<String, ModuleId> known = modules();
    for (String name : new TreeSet<>(tensors.names())) {
      String module = name.substring(0, Math.max(0, name.length() - A.length()));
      ModuleId id = known.get(module);
      if (id == null || !(name.endsWith(A) || name.endsWith(B))) {
        throw new IllegalArgumentException(
            "tensor %s is no low-rank part of a module of base model '%s' (%d layers)"
                .formatted(name, spec.name(), spec.layers()));
      }
      String partner = module + (name.endsWith(A) ? B : A);
      if (!tensors.names().contains(partner)) {
        throw new IllegalArgumentException("tensor %s has no partner %s".formatted(name, partner));
      }
      if (name.endsWith(A)) {
        modules.put(id, module(id, module, alpha));
      }
    }
    if (modules.isEmpty()) {
      throw new IllegalArgumentException("it has no tensors");
    }
    return AdapterContents.of(modules, "lora");
  }

  private void requireText(String key, String wanted) {
    Object had = metadata.get(key);
    if (!wanted.equals(had)) {
      throw new IllegalArgumentException(
          "GGUF %s is %s, wanted '%s'".formatted(key, had == null ? "absent" : had, wanted));
    }
  }

  private String architecture() {
    return switch (spec.family()) {
      case LLAMA, MISTRAL -> "llama";
      case QWEN2 -> "qwen2";
      case QWEN3 -> "qwen3";
    };
  }

  private float alpha() {
    Object alpha = metadata.get("adapter.lora.alpha");
    if (!(alpha instanceof Number number) || !Float.isFinite(number.floatValue())) {
      throw new IllegalArgumentException(
          "GGUF adapter.lora.alpha is %s, wanted a number".formatted(alpha));
    }
    return number.floatValue();
  }

  private LoraModule module(ModuleId id, String module, float alpha) {
    Widths widths = Widths.of(id.target(), spec);
    boolean embedding = id.target() == LoraTarget.EMBED_TOKENS;
    TensorData a = tensors.tensor(module + A);
    TensorData b = tensors.tensor(module + B);
    long rank = b.shape().length == 2 ? b.shape()[1] : 0;
    if (rank < 1 || rank > PeftTargets.MAX_RANK) {
      throw new IllegalArgumentException(
          "%s has rank %d, wanted 1..%d".formatted(b.name(), rank, PeftTargets.MAX_RANK));
    }
    if (embedding) {
      Widths.requireShape(a, a.name(), widths.in(), rank);
    } else {
      Widths.requireShape(a, a.name(), rank, widths.in());
    }
    Widths.requireShape(b, b.name(), widths.out(), rank);
    TensorData hostA = HostTensors.copy(a);
    TensorData hostB = HostTensors.copy(b);
    int heads = rotaryHeads(id.target());
    // llama.cpp: alpha 0 leaves the scale at 1.
    float scaling = alpha == 0 ? 1f : alpha / rank;
    return new LoraModule(
        (int) rank,
        scaling,
        embedding ? HostTensors.transpose(hostA) : hostA,
        heads == 0 ? hostB : HostTensors.unpermuteRows(hostB, heads),
        null,
        null,
        null);
  }

  /** Heads whose rows are in llama.cpp's order; 0 if none are. */
  private int rotaryHeads(LoraTarget target) {
    boolean permuted = spec.family() == Family.LLAMA || spec.family() == Family.MISTRAL;
    return switch (target) {
      case Q_PROJ -> permuted ? spec.heads() : 0;
      case K_PROJ -> permuted ? spec.kvHeads() : 0;
      case V_PROJ, O_PROJ, GATE_PROJ, UP_PROJ, DOWN_PROJ, EMBED_TOKENS, LM_HEAD -> 0;
    };
  }

  private Map<String, ModuleId> modules() {
    Map<String, ModuleId> byName = new HashMap<>();
    PeftTargets.modules(spec)
        .values()
        .forEach(
            id ->
                byName.put(
                    Optional.of(id.layer())
                            .filter(layer -> layer != ModuleId.NO_LAYER)
                            .map(layer -> "blk." + layer + ".")
                            .orElse("")
                        + id.target().ggufName(),
                    id));
    return byName;
  }
}
