package io.chorale.engine;

import io.chorale.lora.LoraWeights;

/** Where the engine gets an adapter's host weights from, by key alone: no names, no disk. */
@FunctionalInterface
public interface LoraSource {
  /**
   * The validated weights of a version that is leased now. Called on the engine thread when the
   * adapter is seated.
   *
   * @throws IllegalStateException if the key is not known (a lease was returned too early)
   */
  LoraWeights weights(int adapterKey);
}
