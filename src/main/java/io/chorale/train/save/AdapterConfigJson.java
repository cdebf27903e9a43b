package io.chorale.train.save;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.chorale.format.PeftAdapterFiles;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.train.model.AdapterSpec;
import io.chorale.train.model.TrainMethod;
import io.chorale.train.model.TrainableCausalLm;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * {@code adapter_config.json} with every key that PEFT 0.21.2 writes, sorted, and the base's
 * fingerprint. Modules, ranks and alphas are written as they were resolved: short names where all
 * layers agree, else full paths; so the file means the same to whoever reads regular expressions.
 */
public final class AdapterConfigJson {
  private static final String PEFT_VERSION = "0.21.2";

  private AdapterConfigJson() {}

  /** A module as it came out. */
  record Resolved(ModuleId id, int rank, double alpha) {
    /** {@code model.layers.0.self_attn.q_proj}. */
    String path() {
      return id.target() == LoraTarget.LM_HEAD ? "lm_head" : "model." + id;
    }
  }

  /**
   * @param layers of the base
   * @param baseModel its name or hub id
   */
  public static String of(
      TrainableCausalLm model, int layers, String baseModel, String baseFingerprint) {
    AdapterSpec spec = model.spec();
    List<Resolved> modules = new ArrayList<>();
    for (ModuleId id : model.targets()) {
      int rank = model.rankOf(id);
      modules.add(new Resolved(id, rank, alpha(spec, model.scalingOf(id), rank)));
    }
    return of(spec, modules, layers, Map.of("name", baseModel, "fingerprint", baseFingerprint));
  }

  /** The alpha that was asked for and gives this scaling, so that it is written unrounded. */
  private static double alpha(AdapterSpec spec, float scaling, int rank) {
    double divisor = spec.method() == TrainMethod.RSLORA ? Math.sqrt(rank) : rank;
    double best = spec.alpha();
    for (float one : spec.alphaPattern().values()) {
      if (Math.abs(one / divisor - scaling) < Math.abs(best / divisor - scaling)) {
        best = one;
      }
    }
    return best;
  }

  static String of(AdapterSpec spec, List<Resolved> modules, int layers, Map<String, String> base) {
    Map<String, Object> config = new TreeMap<>();
    for (String absent :
        List.of(
            "alora_invocation_tokens",
            "arrow_config",
            "auto_mapping",
            "corda_config",
            "eva_config",
            "exclude_modules",
            "kasa_config",
            "layer_replication",
            "layers_pattern",
            "layers_to_transform",
            "lora_ga_config",
            "megatron_config",
            "monteclora_config",
            "revision",
            "target_parameters",
            "trainable_token_indices",
            "use_bdlora",
            "velora_config")) {
      config.put(absent, null);
    }
    for (String off : List.of("ensure_weight_tying", "fan_in_fan_out", "lora_bias", "use_qalora")) {
      config.put(off, false);
    }
    config.put("base_model_name_or_path", base.get("name"));
    config.put(PeftAdapterFiles.BASE_FINGERPRINT, base.get("fingerprint"));
    config.put("bias", "none");
    config.put("inference_mode", true);
    config.put("init_lora_weights", true);
    config.put("loftq_config", Map.of());
    config.put("megatron_core", "megatron.core");
    config.put("peft_type", "LORA");
    config.put("peft_version", PEFT_VERSION);
    config.put("qalora_group_size", 16);
    config.put("task_type", "CAUSAL_LM");
    config.put("r", spec.rank());
    config.put("lora_alpha", number(spec.alpha()));
    config.put("lora_dropout", Double.parseDouble(Float.toString(spec.dropout())));
    config.put("use_dora", spec.method() == TrainMethod.DORA);
    config.put("use_rslora", spec.method() == TrainMethod.RSLORA);
    config.put("modules_to_save", spec.modulesToSave().isEmpty() ? null : spec.modulesToSave());
    config.put("target_modules", names(modules, layers));
    config.put(
        "rank_pattern", pattern(modules, layers, m -> (Object) m.rank(), (Object) spec.rank()));
    config.put(
        "alpha_pattern", pattern(modules, layers, m -> number(m.alpha()), number(spec.alpha())));
    try {
      return new ObjectMapper()
              .enable(SerializationFeature.INDENT_OUTPUT)
              .writeValueAsString(config)
          + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("plain values can be written", e);
    }
  }

  /** Whole numbers without a point, as PEFT has them; floats by their shortest text. */
  private static Object number(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e9
        ? (Object) (long) value
        : Double.valueOf(Float.toString((float) value));
  }

  private static Map<LoraTarget, List<Resolved>> byTarget(List<Resolved> modules) {
    Map<LoraTarget, List<Resolved>> byTarget = new TreeMap<>();
    for (Resolved module : modules) {
      byTarget.computeIfAbsent(module.id().target(), t -> new ArrayList<>()).add(module);
    }
    return byTarget;
  }

  private static List<String> names(List<Resolved> modules, int layers) {
    List<String> names = new ArrayList<>();
    byTarget(modules)
        .forEach(
            (target, of) -> {
              if (of.size() == (target.perLayer() ? layers : 1)) {
                names.add(target.shortName());
              } else {
                of.forEach(m -> names.add(m.path()));
              }
            });
    return names;
  }

  private static Map<String, Object> pattern(
      List<Resolved> modules,
      int layers,
      java.util.function.Function<Resolved, Object> value,
      Object usual) {
    Map<String, Object> pattern = new LinkedHashMap<>();
    byTarget(modules)
        .forEach(
            (target, of) -> {
              List<Object> values = of.stream().map(value).distinct().toList();
              if (values.size() == 1 && of.size() == (target.perLayer() ? layers : 1)) {
                pattern.put(target.shortName(), values.get(0));
              } else {
                of.forEach(m -> pattern.put(m.path(), value.apply(m)));
              }
            });
    pattern.values().removeIf(usual::equals);
    return pattern;
  }
}
