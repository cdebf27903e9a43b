package io.chorale.train.plan;

/**
 * One part of the memory that a run takes.
 *
 * @param how one phrase on what it is
 */
public record MemoryItem(String name, String how, long bytes) {}
