package io.chorale.adapter.read;

import io.chorale.format.PeftAdapterFiles.Config;
import io.chorale.format.PeftAdapterFiles.ModuleNames;
import java.util.Map;
import java.util.Set;

/**
 * Which options of an {@code adapter_config.json} can be served exactly. An option that is set and
 * that is not known to leave the arithmetic alone is refused: ignoring it would answer with another
 * model than the one that was trained. Checked against PEFT 0.21.2, tuners/lora/config.py.
 */
final class PeftRules {
  /** Set by every PEFT, or used in training or at initialisation only. */
  private static final Set<String> HARMLESS =
      Set.of(
          "auto_mapping",
          "corda_config",
          "eva_config",
          "inference_mode",
          "lora_dropout",
          "lora_ga_config",
          "loftq_config",
          "lorap_emb_lr",
          "lorap_lr_ratio",
          "megatron_core",
          "peft_version",
          "qalora_group_size",
          "revision",
          "runtime_config");

  private static final Map<String, String> REASONS =
      Map.ofEntries(
          Map.entry("alora_invocation_tokens", "activated LoRA switches on in mid-sequence"),
          Map.entry("arrow_config", "Arrow routing chooses between several adapters per token"),
          Map.entry("kasa_config", "KaSA changes the base model's weights"),
          Map.entry("layer_replication", "layer replication changes the base model's depth"),
          Map.entry("megatron_config", "Megatron's parallel layers store sharded tensors"),
          Map.entry("monteclora_config", "MonteCLoRA samples its weights"),
          Map.entry("target_parameters", "bare parameters have no module in this base model"),
          Map.entry("trainable_token_indices", "single trained token rows are not served"),
          Map.entry("use_bdlora", "BD-LoRA's factors are block-diagonal"),
          Map.entry("use_qalora", "QA-LoRA pools its inputs"),
          Map.entry("velora_config", "VeLoRA is a variant that is not served"));

  private static final Set<String> PLAIN_INITS =
      Set.of("true", "false", "gaussian", "eva", "orthogonal", "mica");

  private PeftRules() {}

  /**
   * @param baseFingerprint of the served base
   * @throws IllegalArgumentException naming the option and why it cannot be served
   */
  static void check(Config config, String baseFingerprint) {
    checkKind(config);
    checkLayers(config);
    checkInit(config.initLoraWeights());
    config
        .baseFingerprint()
        .filter(trainedOn -> !trainedOn.equals(baseFingerprint))
        .ifPresent(
            trainedOn -> {
              throw new IllegalArgumentException(
                  "it was trained on the base with fingerprint %s, this server runs %s; serve that base or train again"
                      .formatted(trainedOn, baseFingerprint));
            });
    config.others().forEach(PeftRules::checkOther);
  }

  private static void checkKind(Config config) {
    if (!config.peftType().equals("LORA")) {
      throw new IllegalArgumentException(
          "peft_type is '%s', only LORA is served".formatted(config.peftType()));
    }
    config
        .taskType()
        .filter(task -> !task.equals("CAUSAL_LM"))
        .ifPresent(
            task -> {
              throw new IllegalArgumentException(
                  "task_type is '%s', only CAUSAL_LM is served".formatted(task));
            });
    if (config.fanInFanOut()) {
      throw new IllegalArgumentException(
          "fan_in_fan_out is true: transposed (GPT-2) weights are not in this base model");
    }
    if (config.loraBias() && config.dora()) {
      throw new IllegalArgumentException(
          "lora_bias and use_dora are both true, which PEFT does not do");
    }
    if (config.alpha() == 0) {
      throw new IllegalArgumentException("lora_alpha is 0: the adapter would change nothing");
    }
  }

  /** PEFT itself refuses to load such configs. */
  private static void checkLayers(Config config) {
    config
        .targetModules()
        .flatMap(ModuleNames::pattern)
        .filter(p -> !config.layersToTransform().isEmpty() || !config.layersPattern().isEmpty())
        .ifPresent(
            pattern -> {
              throw new IllegalArgumentException(
                  "layers_to_transform and layers_pattern only go with a list of target_modules, it has the pattern '%s'"
                      .formatted(pattern));
            });
    if (!config.layersPattern().isEmpty() && config.layersToTransform().isEmpty()) {
      throw new IllegalArgumentException("layers_pattern is set without layers_to_transform");
    }
  }

  private static void checkInit(String init) {
    if (PLAIN_INITS.contains(init)) {
      return;
    }
    boolean changesBase =
        init.startsWith("pissa")
            || init.startsWith("olora")
            || init.startsWith("corda")
            || init.startsWith("loftq")
            || init.startsWith("lora_ga");
    throw new IllegalArgumentException(
        changesBase
            ? "init_lora_weights is '%s', which changes the base model's weights; save it with PEFT's path_initial_model_for_weight_conversion and load that"
                .formatted(init)
            : "init_lora_weights is '%s', which is not known; known: true, false, gaussian, eva, orthogonal, mica"
                .formatted(init));
  }

  private static void checkOther(String key, String value) {
    if (HARMLESS.contains(key) || key.startsWith("chorale_")) {
      return;
    }
    String reason = REASONS.get(key);
    throw new IllegalArgumentException(
        reason == null
            ? "option %s = %s is not known and may change the arithmetic; remove it if it does not"
                .formatted(key, value)
            : "option %s = %s is not served: %s".formatted(key, value, reason));
  }
}
