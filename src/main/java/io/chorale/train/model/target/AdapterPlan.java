package io.chorale.train.model.target;

import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.ModelSpec;
import io.chorale.train.model.AdapterSpec;
import io.chorale.train.model.TrainMethod;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Which modules of a base an adapter is laid over, with what rank and scaling, by PEFT 0.21.2's
 * rules (tuners_utils.check_target_module_exists, other.get_pattern_key).
 *
 * @param adapted in the model's order
 * @param saved modules trained whole
 */
public record AdapterPlan(Map<ModuleId, Placed> adapted, Set<ModuleId> saved) {

  /**
   * @param scaling alpha / rank, or alpha / sqrt(rank) for rsLoRA
   */
  public record Placed(int rank, float scaling) {}

  /** The module's full name in transformers. */
  public static String name(ModuleId id) {
    return id.target() == LoraTarget.LM_HEAD ? id.toString() : "model." + id;
  }

  /** Every adaptable module, in the model's order. */
  public static List<ModuleId> modules(ModelSpec spec) {
    List<ModuleId> all = new ArrayList<>();
    all.add(ModuleId.of(LoraTarget.EMBED_TOKENS));
    for (int layer = 0; layer < spec.layers(); layer++) {
      for (LoraTarget target : LoraTarget.values()) {
        if (target.perLayer()) {
          all.add(new ModuleId(layer, target));
        }
      }
    }
    all.add(ModuleId.of(LoraTarget.LM_HEAD));
    return all;
  }

  /**
   * @throws IllegalArgumentException naming what matches no module
   */
  public static AdapterPlan of(AdapterSpec adapter, ModelSpec spec) {
    List<ModuleId> modules = modules(spec);
    Set<ModuleId> saved = saved(adapter, spec);
    Map<ModuleId, Placed> adapted = new LinkedHashMap<>();
    for (ModuleId id : targeted(adapter.targetModules(), modules, spec)) {
      if (!saved.contains(id)) {
        adapted.put(id, place(adapter, name(id)));
      }
    }
    return new AdapterPlan(adapted, saved);
  }

  private static Set<ModuleId> saved(AdapterSpec adapter, ModelSpec spec) {
    Set<ModuleId> saved = new LinkedHashSet<>();
    for (String name : adapter.modulesToSave()) {
      boolean known = false;
      for (LoraTarget target : List.of(LoraTarget.EMBED_TOKENS, LoraTarget.LM_HEAD)) {
        if (!name.isEmpty() && name(ModuleId.of(target)).endsWith(name)) {
          saved.add(ModuleId.of(target));
          known = true;
        }
      }
      if (!known) {
        throw new IllegalArgumentException(
            "modules_to_save names '%s'; wanted embed_tokens or lm_head of '%s'"
                .formatted(name, spec.name()));
      }
    }
    return saved;
  }

  private static List<ModuleId> targeted(
      List<String> names, List<ModuleId> modules, ModelSpec spec) {
    if (names.size() == 1 && names.get(0).equalsIgnoreCase("all-linear")) {
      return modules.stream().filter(id -> id.target().perLayer()).toList();
    }
    List<ModuleId> byName =
        modules.stream()
            .filter(id -> names.stream().anyMatch(n -> (("." + name(id)).endsWith("." + n))))
            .toList();
    if (!byName.isEmpty()) {
      return byName;
    }
    if (names.size() == 1) {
      Pattern pattern = python(names.get(0));
      List<ModuleId> byPattern =
          modules.stream().filter(id -> pattern.matcher(name(id)).matches()).toList();
      if (!byPattern.isEmpty()) {
        return byPattern;
      }
    }
    throw new IllegalArgumentException(
        "target modules %s match no module of '%s'; it has q_proj k_proj v_proj o_proj gate_proj up_proj down_proj in layers 0..%d, embed_tokens and lm_head"
            .formatted(names, spec.name(), spec.layers() - 1));
  }

  private static Placed place(AdapterSpec adapter, String name) {
    int rank = byPattern(adapter.rankPattern(), name).orElse(adapter.rank());
    double alpha = byPattern(adapter.alphaPattern(), name).orElse(adapter.alpha());
    if (rank < 1) {
      throw new IllegalArgumentException("%s has rank %d, wanted 1 or more".formatted(name, rank));
    }
    boolean root = adapter.method() == TrainMethod.RSLORA;
    return new Placed(rank, (float) (root ? alpha / Math.sqrt(rank) : alpha / rank));
  }

  /** The value of the first pattern that matches the end of the name. */
  private static <T> Optional<T> byPattern(Map<String, T> patterns, String name) {
    for (Map.Entry<String, T> entry : patterns.entrySet()) {
      if (python("(.*\\.)?(" + entry.getKey() + ")$").matcher(name).lookingAt()) {
        return Optional.of(entry.getValue());
      }
    }
    return Optional.empty();
  }

  private static Pattern python(String expression) {
    try {
      return Pattern.compile(
          expression.replace("(?P<", "(?<").replaceAll("\\(\\?P=(\\w+)\\)", "\\\\k<$1>"));
    } catch (PatternSyntaxException e) {
      throw new IllegalArgumentException(
          "'%s' is not a regular expression: %s".formatted(expression, e.getMessage()), e);
    }
  }
}
