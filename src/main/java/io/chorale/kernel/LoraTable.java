package io.chorale.kernel;

/**
 * The adapters resident now: for each loraSlot and module the factors in the layout its {@link Ops}
 * wants. Ranks differ freely; nothing is padded to a common one. Filled and cleared only between
 * steps. Engine thread.
 */
public interface LoraTable extends AutoCloseable {
  /** The row has no adapter. */
  int NO_LORA = -1;

  int slots();

  /**
   * Places one module of an adapter.
   *
   * @param module index as in {@link Linear#module}
   * @throws IllegalArgumentException naming shapes if the factors do not fit the base's weight
   */
  void fill(int slot, int module, LoraFactors factors);

  /** Empties a slot and frees its memory. */
  void clear(int slot);

  /** Resident bytes of all slots. */
  long bytes();

  @Override
  void close();
}
