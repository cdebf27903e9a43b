package io.chorale.lora;

import java.util.Optional;

/** The weight matrices that an adapter can change, by their transformers module names. */
public enum LoraTarget {
  Q_PROJ("self_attn.q_proj", "attn_q"),
  K_PROJ("self_attn.k_proj", "attn_k"),
  V_PROJ("self_attn.v_proj", "attn_v"),
  O_PROJ("self_attn.o_proj", "attn_output"),
  GATE_PROJ("mlp.gate_proj", "ffn_gate"),
  UP_PROJ("mlp.up_proj", "ffn_up"),
  DOWN_PROJ("mlp.down_proj", "ffn_down"),
  EMBED_TOKENS("embed_tokens", "token_embd"),
  LM_HEAD("lm_head", "output");

  /** How many of the targets repeat in every layer. */
  public static final int PER_LAYER = 7;

  private final String modulePath;
  private final String ggufName;

  LoraTarget(String modulePath, String ggufName) {
    this.modulePath = modulePath;
    this.ggufName = ggufName;
  }

  /** The module's part of a GGUF tensor name: {@code blk.N.<this>.weight}, or without the block. */
  public String ggufName() {
    return ggufName;
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
