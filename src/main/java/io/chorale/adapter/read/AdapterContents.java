package io.chorale.adapter.read;

import io.chorale.format.TensorData;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import java.util.List;
import java.util.Map;

/**
 * A whole adapter, validated against its base.
 *
 * @param method lora, rslora or dora
 * @param bytes of all tensors
 */
public record AdapterContents(Map<ModuleId, LoraModule> modules, String method, long bytes) {
  public AdapterContents {
    modules = Map.copyOf(modules);
  }

  static AdapterContents of(Map<ModuleId, LoraModule> modules, String method) {
    long bytes = modules.values().stream().mapToLong(AdapterContents::bytes).sum();
    return new AdapterContents(modules, method, bytes);
  }

  /** The largest rank; 0 if all modules are replaced whole. */
  public int rank() {
    return modules.values().stream().mapToInt(LoraModule::rank).max().orElse(0);
  }

  /** Short names of the changed modules, in the model's order. */
  public List<String> targetModules() {
    return modules.keySet().stream()
        .map(ModuleId::target)
        .distinct()
        .sorted()
        .map(LoraTarget::shortName)
        .toList();
  }

  private static long bytes(LoraModule module) {
    long sum = 0;
    for (TensorData tensor :
        new TensorData[] {
          module.a(), module.b(), module.bias(), module.magnitude(), module.replacement()
        }) {
      sum += tensor == null ? 0 : tensor.bytes().limit();
    }
    return sum;
  }
}
