package io.chorale.model;

/** Model families that {@link CausalLm} computes; anything else is refused by name. */
public enum Family {
  LLAMA,
  MISTRAL,
  QWEN2,
  QWEN3
}
