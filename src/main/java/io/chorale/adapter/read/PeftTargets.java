package io.chorale.adapter.read;

import io.chorale.format.PeftAdapterFiles.Config;
import io.chorale.format.PeftAdapterFiles.ModuleNames;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.ModelSpec;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;

/**
 * Which modules of a base an adapter's config names, with what rank and scaling: PEFT 0.21.2's own
 * rules (tuners_utils.check_target_module_exists, other.get_pattern_key, other._set_trainable).
 */
public final class PeftTargets {
  /** PEFT's default for Llama, Mistral, Qwen2 and Qwen3 when target_modules is null. */
  private static final ModuleNames DEFAULT =
      new ModuleNames(Optional.empty(), List.of("q_proj", "v_proj"));

  private static final String ANY_LAYER = ".*?\\.[^.]*\\.(?P<idx>\\d+)\\.";

  static final int MAX_RANK = 512;

  /**
   * One adapted module.
   *
   * @param scaling alpha / rank, or alpha / sqrt(rank) for rsLoRA
   */
  record Planned(int rank, float scaling) {}

  /**
   * What the config asks of a base.
   *
   * @param adapted in the model's order
   * @param replaced from modules_to_save
   */
  record Plan(Map<ModuleId, Planned> adapted, Set<ModuleId> replaced) {}

  private final Config config;
  private final ModelSpec spec;
  private final PythonRegex.Budget budget = new PythonRegex.Budget();
  private final Optional<PythonRegex> target;
  private final Optional<PythonRegex> exclude;
  private final List<PythonRegex> saved;
  private final List<PythonRegex> layer;
  private final Map<PythonRegex, Integer> ranks;
  private final Map<PythonRegex, Double> alphas;

  private PeftTargets(Config config, ModelSpec spec) {
    this.config = config;
    this.spec = spec;
    this.target = targetNames().pattern().map(this::regex);
    this.exclude = config.excludeModules().pattern().filter(p -> !p.isEmpty()).map(this::regex);
    this.saved =
        config.modulesToSave().stream().map(m -> regex("(^|.*\\.)" + m + "($|\\..*)")).toList();
    this.layer =
        config.layersPattern().isEmpty()
            ? List.of(regex(ANY_LAYER))
            : config.layersPattern().stream()
                .map(p -> regex("(?:^|.*?\\.)" + p + "\\.(?P<idx>\\d+)\\."))
                .toList();
    this.ranks = patterns(config.rankPattern());
    this.alphas = patterns(config.alphaPattern());
  }

  private PythonRegex regex(String python) {
    return PythonRegex.compile(python, budget);
  }

  private <T> Map<PythonRegex, T> patterns(Map<String, T> byPattern) {
    Map<PythonRegex, T> compiled = new LinkedHashMap<>();
    byPattern.forEach((p, value) -> compiled.put(regex("(.*\\.)?(" + p + ")$"), value));
    return compiled;
  }

  /** The module's full name in transformers, as PEFT sees it. */
  public static String key(ModuleId id) {
    return switch (id.target()) {
      case LM_HEAD -> "lm_head";
      case EMBED_TOKENS -> "model.embed_tokens";
      case Q_PROJ, K_PROJ, V_PROJ, O_PROJ, GATE_PROJ, UP_PROJ, DOWN_PROJ ->
          "model.layers." + id.layer() + "." + id.target().modulePath();
    };
  }

  /** Every adaptable module of a base by its full name, layer by layer. */
  static Map<String, ModuleId> modules(ModelSpec spec) {
    Map<String, ModuleId> all = new LinkedHashMap<>();
    for (int layer = 0; layer < spec.layers(); layer++) {
      for (LoraTarget target : EnumSet.range(LoraTarget.Q_PROJ, LoraTarget.DOWN_PROJ)) {
        ModuleId id = new ModuleId(layer, target);
        all.put(key(id), id);
      }
    }
    for (LoraTarget target : List.of(LoraTarget.EMBED_TOKENS, LoraTarget.LM_HEAD)) {
      all.put(key(ModuleId.of(target)), ModuleId.of(target));
    }
    return all;
  }

  /**
   * @throws IllegalArgumentException if nothing matches, a rank is out of bounds, or
   *     modules_to_save names something else than the embedding and the head
   */
  static Plan resolve(Config config, ModelSpec spec) {
    return new PeftTargets(config, spec).resolve();
  }

  private Plan resolve() {
    Set<ModuleId> replaced = replaced();
    Set<ModuleId> adapted = new LinkedHashSet<>();
    modules(spec)
        .forEach(
            (key, id) -> {
              if (targeted(key, id)) {
                adapted.add(id);
              }
            });
    if (adapted.isEmpty() && replaced.isEmpty()) {
      throw new IllegalArgumentException(
          "target_modules %s match no module of base model '%s'; it has q_proj k_proj v_proj o_proj gate_proj up_proj down_proj in layers 0..%d, embed_tokens and lm_head"
              .formatted(targetNames(), spec.name(), spec.layers() - 1));
    }
    if (config.ensureWeightTying() && spec.tiedHead()) {
      tie(adapted, replaced);
    }
    Map<ModuleId, Planned> planned = new LinkedHashMap<>();
    adapted.forEach(id -> planned.put(id, plan(key(id))));
    return new Plan(planned, replaced);
  }

  /** PEFT then treats both ends of a tied model alike, and saves both. */
  private void tie(Set<ModuleId> adapted, Set<ModuleId> replaced) {
    ModuleNames targets = targetNames();
    List<ModuleId> ends =
        List.of(ModuleId.of(LoraTarget.EMBED_TOKENS), ModuleId.of(LoraTarget.LM_HEAD));
    if (namesAnEnd(config.modulesToSave())) {
      replaced.addAll(ends);
    } else if (target.isPresent()
        // PEFT tries the pattern on the short names here, not on the full ones.
        ? ends.stream().anyMatch(end -> target.get().fullMatch(end.target().shortName()))
        : namesAnEnd(targets.names())) {
      adapted.addAll(ends);
    }
  }

  private static boolean namesAnEnd(List<String> names) {
    return names.stream()
        .map(name -> name.substring(name.lastIndexOf('.') + 1))
        .anyMatch(name -> name.equals("embed_tokens") || name.equals("lm_head"));
  }

  private Set<ModuleId> replaced() {
    Set<ModuleId> ids = new LinkedHashSet<>();
    for (String name : config.modulesToSave()) {
      boolean known = false;
      for (LoraTarget target : List.of(LoraTarget.EMBED_TOKENS, LoraTarget.LM_HEAD)) {
        if (!name.isEmpty() && key(ModuleId.of(target)).endsWith(name)) {
          ids.add(ModuleId.of(target));
          known = true;
        }
      }
      if (!known) {
        throw new IllegalArgumentException(
            "modules_to_save names '%s'; only embed_tokens and lm_head can be replaced whole"
                .formatted(name));
      }
    }
    return ids;
  }

  private ModuleNames targetNames() {
    return config.targetModules().orElse(DEFAULT);
  }

  private boolean targeted(String key, ModuleId id) {
    if (excluded(key)) {
      return false;
    }
    ModuleNames targets = targetNames();
    if (targets.pattern().isPresent()) {
      return targets.pattern().get().equalsIgnoreCase("all-linear")
          ? id.target().perLayer()
          : target.orElseThrow().fullMatch(key);
    }
    if (targets.names().contains(key)) {
      return true; // a full name is not subject to layers_to_transform
    }
    return endsWithAny(key, targets.names()) && layerWanted(key);
  }

  private boolean excluded(String key) {
    List<String> names = config.excludeModules().names();
    return exclude.map(pattern -> pattern.fullMatch(key)).orElse(false)
        || names.contains(key)
        || endsWithAny(key, names)
        || saved.stream().anyMatch(pattern -> pattern.match(key) != null);
  }

  private static boolean endsWithAny(String key, List<String> names) {
    return names.stream().anyMatch(name -> key.endsWith("." + name));
  }

  private boolean layerWanted(String key) {
    List<Integer> wanted = config.layersToTransform();
    if (wanted.isEmpty()) {
      return true;
    }
    for (PythonRegex pattern : layer) {
      Matcher matcher = pattern.match(key);
      if (matcher != null) {
        return wanted.contains(Integer.parseInt(matcher.group("idx")));
      }
    }
    return false;
  }

  private Planned plan(String key) {
    int rank = patternValue(ranks, key).orElse(config.rank());
    double alpha = patternValue(alphas, key).orElse(config.alpha());
    if (rank < 1 || rank > MAX_RANK) {
      throw new IllegalArgumentException(
          "%s has rank %d, wanted 1..%d".formatted(key, rank, MAX_RANK));
    }
    return new Planned(rank, (float) (config.rslora() ? alpha / Math.sqrt(rank) : alpha / rank));
  }

  /** The first pattern that matches, in the file's order. */
  private static <T> Optional<T> patternValue(Map<PythonRegex, T> patterns, String key) {
    return patterns.entrySet().stream()
        .filter(entry -> entry.getKey().match(key) != null)
        .map(Map.Entry::getValue)
        .findFirst();
  }
}
