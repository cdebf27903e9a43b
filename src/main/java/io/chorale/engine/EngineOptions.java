package io.chorale.engine;

/**
 * Bounds of the engine.
 *
 * @param maxQueued sequences that may wait for their first step; more are refused
 * @param drainMs how long {@link EngineLoop#close} lets running sequences finish
 */
public record EngineOptions(int maxQueued, long drainMs) {
  public EngineOptions {
    if (maxQueued < 1) {
      throw new IllegalArgumentException("maxQueued is %d, wanted 1 or more".formatted(maxQueued));
    }
  }
}
