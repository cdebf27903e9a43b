package io.chorale.train.plan;

import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.train.model.AdapterSpec;
import io.chorale.train.model.TrainMethod;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** Which modules an adapter is laid over, by PEFT's rules, counted without a model. */
public final class Targets {
  private Targets() {}

  /**
   * Ranks by module.
   *
   * @throws IllegalArgumentException if a target matches nothing
   */
  public static Map<ModuleId, Integer> ranks(AdapterSpec adapter, BaseShape base) {
    Map<ModuleId, Integer> ranks = new LinkedHashMap<>();
    if (adapter.method() == TrainMethod.FULL) {
      return ranks;
    }
    List<String> names = adapter.targetModules();
    boolean all = names.size() == 1 && names.get(0).equalsIgnoreCase("all-linear");
    for (ModuleId id : modules(base)) {
      String name = name(id);
      boolean hit =
          all
              ? id.target().perLayer()
              : names.stream().anyMatch(n -> ("." + name).endsWith("." + n))
                  || names.size() == 1 && matches(names.get(0), name);
      if (hit && !saved(adapter, id)) {
        ranks.put(id, rank(adapter, name));
      }
    }
    if (ranks.isEmpty()) {
      throw new IllegalArgumentException(
          "target modules %s match no module of '%s'".formatted(names, base.name()));
    }
    return ranks;
  }

  /** Weights of the modules that are trained whole beside the factors. */
  public static long savedWeights(AdapterSpec adapter, BaseShape base) {
    return modules(base).stream()
        .filter(id -> !id.target().perLayer() && saved(adapter, id))
        .mapToLong(id -> (long) base.vocab() * base.hidden())
        .sum();
  }

  private static boolean saved(AdapterSpec adapter, ModuleId id) {
    return adapter.modulesToSave().stream().anyMatch(n -> ("." + name(id)).endsWith("." + n));
  }

  private static int rank(AdapterSpec adapter, String name) {
    for (Map.Entry<String, Integer> entry : adapter.rankPattern().entrySet()) {
      if (matches("(.*\\.)?(" + entry.getKey() + ")", name)) {
        return entry.getValue();
      }
    }
    return adapter.rank();
  }

  private static boolean matches(String expression, String name) {
    return Pattern.compile(expression).matcher(name).matches();
  }

  private static String name(ModuleId id) {
    return id.target() == LoraTarget.LM_HEAD ? id.toString() : "model." + id;
  }

  private static List<ModuleId> modules(BaseShape base) {
    List<ModuleId> all = new ArrayList<>();
    for (int layer = 0; layer < base.layers(); layer++) {
      for (LoraTarget target : LoraTarget.values()) {
        if (target.perLayer()) {
          all.add(new ModuleId(layer, target));
        }
      }
    }
    all.add(ModuleId.of(LoraTarget.EMBED_TOKENS));
    all.add(ModuleId.of(LoraTarget.LM_HEAD));
    return all;
  }
}
