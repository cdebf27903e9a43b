package io.chorale.sched;

/**
 * An adapter newly placed in a loraSlot; the runner fills the slot before it computes the batch.
 *
 * @param adapterKey a registered version's key, at least 0
 * @param loraSlot 0 .. maxLoras-1; whatever it held before is gone
 */
public record Seating(int adapterKey, int loraSlot) {}
