package io.chorale.lora;

import java.util.Map;

/**
 * One adapter version's weights on the host: validated against the base model's shapes, finite,
 * immutable. Any thread.
 *
 * @param label for logs and errors, name@version
 * @param bytes of all tensors
 */
public record LoraWeights(String label, Map<ModuleId, LoraModule> modules, long bytes) {
  public LoraWeights {
    modules = Map.copyOf(modules);
  }
}
