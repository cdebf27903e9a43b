package io.chorale.lora;

import java.util.Optional;

/** The weight matrices that an adapter can change, by their transformers module names. */
public enum LoraTarget {
  Q_PROJ("self_attn.q_proj"),
  K_PROJ("self_attn.k_proj"),
  V_PROJ("self_attn.v_proj"),
  O_PROJ("self_attn.o_proj"),
  GATE_PROJ("mlp.gate_proj"),
  UP_PROJ("mlp.up_proj"),
  DOWN_PROJ("mlp.down_proj"),
  EMBED_TOKENS("embed_tokens"),
  LM_HEAD("lm_head");

  /** How many of the targets repeat in every layer. */
  public static final int PER_LAYER = 7;

  private final String modulePath;

  LoraTarget(String modulePath) {
    this.modulePath = modulePath;
  }

  /** Path below {@code model.layers.N} (or the model), such as {@code self_attn.q_proj}. */
  public String modulePath() {
    return modulePath;
  }

  /** The last part of the path, as users write it in {@code target_modules}. */
  public String shortName() {
    return modulePath.substring(modulePath.lastIndexOf('.') + 1);
  }

  public boolean perLayer() {
    return ordinal() < PER_LAYER;
  }

  public static Optional<LoraTarget> byShortName(String name) {
    for (LoraTarget target : values()) {
      if (target.shortName().equals(name)) {
        return Optional.of(target);
      }
    }
    return Optional.empty();
  }
}
