package io.chorale.adapter.read;

import io.chorale.format.PeftAdapterFiles.Config;
import io.chorale.format.TensorData;
import io.chorale.format.TensorSource;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.ModelSpec;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * Reads a PEFT adapter: every tensor that the config asks for must be there with the base's shape,
 * and every tensor that is there must be asked for.
 *
 * <p>On a tied base an adapter acts as in PEFT 0.21.2: one on embed_tokens changes the input only
 * and one on lm_head the output only, be it low-rank or whole; with {@code ensure_weight_tying}
 * PEFT saves both ends and both are applied.
 */
public final class PeftReader {
  /** What one tensor of a module is, by the end of its name. */
  private enum Part {
    A(".lora_A.weight"),
    B(".lora_B.weight"),
    BIAS(".lora_B.bias"),
    EMBEDDING_A(".lora_embedding_A"),
    EMBEDDING_B(".lora_embedding_B"),
    MAGNITUDE(".lora_magnitude_vector"),
    /** The frozen weights that PEFT saves beside an adapted embedding or head; not needed. */
    FROZEN(".base_layer.weight"),
    WHOLE(".weight");

    private final String suffix;

    Part(String suffix) {
      this.suffix = suffix;
    }
  }

  private final Config config;
  private final TensorSource tensors;
  private final ModelSpec spec;

  /** File tensor names not used yet, by module and part. */
  private final Map<ModuleId, Map<Part, String>> unused = new HashMap<>();

  /** Tensors that belong to no module of the base: name to reason. */
  private final Map<String, String> strangers = new TreeMap<>();

  private PeftReader(Config config, TensorSource tensors, ModelSpec spec) {
    this.config = config;
    this.tensors = tensors;
    this.spec = spec;
  }

  /**
   * @param tensors of {@code adapter_model.safetensors}; may be closed afterwards
   * @throws IllegalArgumentException with the precise reason
   */
  public static AdapterContents read(
      Config config, TensorSource tensors, ModelSpec spec, String baseFingerprint) {
    PeftRules.check(config, baseFingerprint);
    return new PeftReader(config, tensors, spec).read();
  }

  private AdapterContents read() {
    PeftTargets.Plan plan = PeftTargets.resolve(config, spec);
    sortTensors();
    if (unused.isEmpty()) {
      throw new IllegalArgumentException(
          "none of the file's %d tensors belongs to a module of base model '%s'%s"
              .formatted(tensors.names().size(), spec.name(), firstStranger()));
    }
    Map<ModuleId, LoraModule> modules = new LinkedHashMap<>();
    plan.adapted().forEach((id, planned) -> modules.put(id, adapted(id, planned)));
    plan.replaced().forEach(id -> modules.put(id, replaced(id)));
    requireNothingLeft();
    return AdapterContents.of(modules, method());
  }

  private String method() {
    return config.dora() ? "dora" : config.rslora() ? "rslora" : "lora";
  }

  private void sortTensors() {
    Map<String, ModuleId> modules = PeftTargets.modules(spec);
    for (String name : tensors.names()) {
      String plain = plainName(name);
      Part part = part(plain);
      ModuleId id =
          part == null
              ? null
              : modules.get(plain.substring(0, plain.length() - part.suffix.length()));
      if (id == null) {
        strangers.put(name, strange(plain));
        continue;
      }
      String twice = unused.computeIfAbsent(id, key -> new EnumMap<>(Part.class)).put(part, name);
      if (twice != null) {
        throw new IllegalArgumentException(
            "tensors %s and %s are the same one; keep one adapter in the file"
                .formatted(twice, name));
      }
    }
  }

  /** Without PEFT's prefix, the adapter name "default" and newer PEFT's DoRA suffix. */
  private static String plainName(String name) {
    String plain = name.replace("_orig_mod.", "");
    if (plain.startsWith("base_model.model.")) {
      plain = plain.substring("base_model.model.".length());
    }
    int lora = plain.lastIndexOf(".lora_");
    if (lora >= 0) {
      String tail = plain.substring(lora);
      tail = tail.replace(".default.", ".");
      tail = tail.endsWith(".default") ? tail.substring(0, tail.length() - 8) : tail;
      if (tail.equals(Part.MAGNITUDE.suffix + ".weight")) {
        tail = Part.MAGNITUDE.suffix;
      }
      plain = plain.substring(0, lora) + tail;
    }
    return plain.replace(".modules_to_save.default.", ".");
  }

  private static Part part(String plain) {
    for (Part part : Part.values()) { // WHOLE is last: the others' names end like it
      if (plain.endsWith(part.suffix)) {
        return part;
      }
    }
    return null;
  }

  private String strange(String plain) {
    if (plain.endsWith(".bias")) {
      return "trained biases of the base (bias = '%s') are not served".formatted(config.bias());
    }
    if (plain.startsWith("model.layers.")) {
      String rest = plain.substring("model.layers.".length());
      String layer = rest.substring(0, Math.max(0, rest.indexOf('.')));
      if (layer.matches("\\d{1,6}") && Integer.parseInt(layer) >= spec.layers()) {
        return "base model '%s' has %d layers; was it trained on another base?"
            .formatted(spec.name(), spec.layers());
      }
    }
    return "base model '%s' has no such module".formatted(spec.name());
  }

  private String firstStranger() {
    return strangers.entrySet().stream()
        .findFirst()
        .map(e -> ": " + e.getKey() + ": " + e.getValue())
        .orElse("");
  }

  private LoraModule adapted(ModuleId id, PeftTargets.Planned planned) {
    boolean embedding = id.target() == LoraTarget.EMBED_TOKENS;
    Map<Part, String> parts = unused.getOrDefault(id, Map.of());
    Part partA = embedding ? Part.EMBEDDING_A : Part.A;
    Part partB = embedding ? Part.EMBEDDING_B : Part.B;
    if (!parts.containsKey(partA) && !parts.containsKey(partB)) {
      throw new IllegalArgumentException(
          "target_modules %s name %s, the file has no tensors for it"
              .formatted(config.targetModules().map(Object::toString).orElse("(default)"), id));
    }
    Widths widths = Widths.of(id.target(), spec);
    String nameA = parts.get(partA);
    TensorData a = take(id, partA);
    TensorData b = take(id, partB);
    requireRank(nameA, a, planned.rank());
    Widths.requireShape(a, id + label(partA), planned.rank(), widths.in());
    Widths.requireShape(b, id + label(partB), widths.out(), planned.rank());
    TensorData bias = config.loraBias() && !embedding ? take(id, Part.BIAS) : null;
    TensorData magnitude = config.dora() ? take(id, Part.MAGNITUDE) : null;
    for (TensorData vector : new TensorData[] {bias, magnitude}) {
      if (vector != null) {
        Widths.requireShape(vector, vector.name(), widths.out());
      }
    }
    takeFrozen(id);
    return new LoraModule(
        planned.rank(), planned.scaling(), host(a), host(b), host(bias), host(magnitude), null);
  }

  private static void requireRank(String name, TensorData a, int rank) {
    if (a.shape().length == 2 && a.shape()[0] != rank) {
      throw new IllegalArgumentException(
          "tensor %s has rank %d, adapter_config.json says %d".formatted(name, a.shape()[0], rank));
    }
  }

  private LoraModule replaced(ModuleId id) {
    TensorData whole = take(id, Part.WHOLE);
    Widths.requireShape(whole, id + " weight", spec.vocab(), spec.hidden());
    return new LoraModule(0, 1f, null, null, null, null, host(whole));
  }

  private void takeFrozen(ModuleId id) {
    if (unused.getOrDefault(id, Map.of()).containsKey(Part.FROZEN)) {
      TensorData frozen = take(id, Part.FROZEN);
      Widths widths = Widths.of(id.target(), spec);
      long rows = id.target() == LoraTarget.EMBED_TOKENS ? widths.in() : widths.out();
      long cols = id.target() == LoraTarget.EMBED_TOKENS ? widths.out() : widths.in();
      Widths.requireShape(frozen, id + " base_layer", rows, cols);
    }
  }

  private TensorData take(ModuleId id, Part part) {
    String name = unused.getOrDefault(id, Map.of()).get(part);
    if (name == null) {
      throw new IllegalArgumentException("%s has no %s tensor".formatted(id, label(part).strip()));
    }
    unused.get(id).remove(part);
    return tensors.tensor(name);
  }

  private static String label(Part part) {
    String suffix = part.suffix.substring(1);
    return " " + (suffix.endsWith(".weight") ? suffix.substring(0, suffix.length() - 7) : suffix);
  }

  private static TensorData host(TensorData stored) {
    return stored == null ? null : HostTensors.copy(stored);
  }

  private void requireNothingLeft() {
    for (ModuleId id : PeftTargets.modules(spec).values()) {
      Map<Part, String> left = unused.getOrDefault(id, Map.of());
      if (!left.isEmpty()) {
        Map.Entry<Part, String> first = left.entrySet().iterator().next();
        throw new IllegalArgumentException(
            "tensor %s is not used: %s".formatted(first.getValue(), leftReason(first.getKey())));
      }
    }
    if (!strangers.isEmpty()) {
      Map.Entry<String, String> first = strangers.entrySet().iterator().next();
      throw new IllegalArgumentException(
          "tensor %s is not used: %s%s"
              .formatted(
                  first.getKey(),
                  first.getValue(),
                  strangers.size() > 1 ? " (and %d more)".formatted(strangers.size() - 1) : ""));
    }
  }

  private static String leftReason(Part part) {
    return switch (part) {
      case BIAS -> "adapter_config.json does not say lora_bias";
      case MAGNITUDE -> "adapter_config.json does not say use_dora";
      case WHOLE -> "adapter_config.json's modules_to_save does not name its module";
      case A, B, EMBEDDING_A, EMBEDDING_B, FROZEN ->
          "adapter_config.json's target_modules do not name its module";
    };
  }
}
