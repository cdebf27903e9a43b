package io.chorale.model;

/**
 * Sizes of the preallocated workspaces.
 *
 * @param maxRows most rows of one step
 * @param maxLogitRows logits are computed in bands of at most so many rows
 */
public record StepLimits(int maxRows, int maxLogitRows) {}
