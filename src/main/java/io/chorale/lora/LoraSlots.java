package io.chorale.lora;

import io.chorale.format.TensorData;
import io.chorale.kernel.LoraFactors;
import io.chorale.kernel.LoraTable;
import io.chorale.quant.GgmlMatrix;
import java.util.Map;

/**
 * Brings host weights into a {@link LoraTable}: prepared on any thread, seated on the engine
 * thread.
 */
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
   * Brings an adapter into the table's layout. Takes tens of milliseconds, with DoRA's norms
   * hundreds; any thread that has its {@link io.chorale.kernel.Ops#bindThread}.
   *
   * @throws IllegalArgumentException naming the adapter and the module that does not fit
   */
  public LoraTable.Prepared prepare(LoraWeights weights) {
    try (LoraTable.Preparation preparation = table.prepare()) {
      for (Map.Entry<ModuleId, LoraModule> entry : weights.modules().entrySet()) {
        try {
          preparation.add(entry.getKey().index(layers), factors(entry.getValue()));
        } catch (RuntimeException e) {
          throw new IllegalArgumentException(
              "adapter '%s': %s: %s".formatted(weights.label(), entry.getKey(), e.getMessage()), e);
        }
      }
      return preparation.finish();
    }
  }

  /** Puts a prepared adapter in a slot, in place of what it holds. Engine thread, between steps. */
  public void seat(int slot, LoraTable.Prepared adapter) {
    table.seat(slot, adapter);
  }

  /** Engine thread, between steps. */
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
