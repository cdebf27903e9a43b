package io.chorale.kernel;

/** Which loraSlot each row of a matrix uses, prepared once per step by {@link Ops#begin}. */
public interface RowSlots {
  int rows();
}
