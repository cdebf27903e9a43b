package io.chorale.lora;

/** Where the engine gets an adapter's host weights from, by key alone: no names, no folders. */
@FunctionalInterface
public interface LoraSource {
  /**
   * The validated weights of a version that is leased now. Called on the thread that prepares
   * adapters, which may read the disk and take its time.
   *
   * @throws IllegalStateException if the key is not known (a lease was returned too early)
   * @throws java.io.UncheckedIOException if the weights can no longer be read
   */
  LoraWeights weights(int adapterKey);
}
