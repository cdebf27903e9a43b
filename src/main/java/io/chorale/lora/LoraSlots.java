package io.chorale.lora;

import io.chorale.format.TensorData;
import io.chorale.kernel.LoraFactors;
import io.chorale.kernel.LoraTable;
import io.chorale.quant.GgmlMatrix;
import java.util.Map;

/** Fills {@link LoraTable} slots from host weights. Engine thread, between steps only. */
public final class LoraSlots implements AutoCloseable {
  private final LoraTable table;
  private final int layers;

  public LoraSlots(LoraTable table, int layers) {
    this.table = table;
    this.layers = layers;
  }

  public LoraTable table() {
    return table;
  }

  /**
   * Replaces whatever the slot holds. If a module cannot be placed the slot is left empty.
   *
   * @throws IllegalArgumentException naming the adapter and module
   */
  public void activate(int slot, LoraWeights weights) {
    table.clear(slot);
    for (Map.Entry<ModuleId, LoraModule> entry : weights.modules().entrySet()) {
      try {
        table.fill(slot, entry.getKey().index(layers), factors(entry.getValue()));
      } catch (RuntimeException e) {
        table.clear(slot);
        throw new IllegalArgumentException(
            "adapter '%s': %s: %s".formatted(weights.label(), entry.getKey(), e.getMessage()), e);
      }
    }
  }

  public void clear(int slot) {
    table.clear(slot);
  }

  private static LoraFactors factors(LoraModule module) {
    if (module.replacement() != null) {
      TensorData dense = module.replacement();
      return new LoraFactors(
          0,
          1,
          null,
          null,
          null,
          null,
          new GgmlMatrix(
              dense.type(), (int) dense.shape()[0], (int) dense.shape()[1], dense.bytes()));
    }
    return new LoraFactors(
        module.rank(),
        module.scaling(),
        module.a().toFloats(),
        module.b().toFloats(),
        module.bias() == null ? null : module.bias().toFloats(),
        module.magnitude() == null ? null : module.magnitude().toFloats(),
        null);
  }

  @Override
  public void close() {
    table.close();
  }
}
