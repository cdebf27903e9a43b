package io.chorale.kernel;

/**
 * Which adapter sits in which loraSlot. An adapter is prepared first, on any thread and as long as
 * it takes: its factors are brought into the layout that the {@link Ops} wants. Seating it is a
 * change of a pointer. Ranks differ freely; nothing is padded to a common one.
 *
 * <p>{@link #seat} and {@link #clear} on the engine thread, only between steps.
 */
public interface LoraTable extends AutoCloseable {
  /** The row has no adapter. */
  int NO_LORA = -1;

  /**
   * One adapter, ready to be seated in the table that prepared it, any number of times. Immutable.
   * Closed once no slot holds it, at the latest with the table; any thread.
   */
  interface Prepared extends AutoCloseable {
    /** Memory that it takes until it is closed. */
    long bytes();

    @Override
    void close();
  }

  /**
   * An adapter on its way. One thread; closing it frees what {@link #finish} has not given away.
   */
  interface Preparation extends AutoCloseable {
    /**
     * Takes one module's change, which is not used afterwards.
     *
     * @param module index as in {@link Linear#module}, each at most once
     * @throws IllegalArgumentException naming shapes if the factors do not fit the base's weight
     */
    void add(int module, LoraFactors factors);

    /** The adapter; the caller closes it. */
    Prepared finish();

    @Override
    void close();
  }

  int slots();

  /** Begins an adapter; any thread, which has its {@link Ops#bindThread}. */
  Preparation prepare();

  /** Puts an adapter in a slot, in place of what it holds. Takes microseconds. */
  void seat(int slot, Prepared adapter);

  /** Empties a slot; its adapter stays prepared. */
  void clear(int slot);

  /** Bytes of the seated adapters. */
  long bytes();

  /** Seated adapters stay prepared. */
  @Override
  void close();
}
