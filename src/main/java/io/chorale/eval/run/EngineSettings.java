package io.chorale.eval.run;

/**
 * How the engine computes.
 *
 * @param kernels auto, native or torch
 * @param device cpu or cuda
 * @param threads that compute
 * @param maxBatchTokens rows of one step
 * @param maxRunning sequences at a time
 * @param kvMemoryBytes for the KV pages
 */
public record EngineSettings(
    String kernels,
    String device,
    int threads,
    int maxBatchTokens,
    int maxRunning,
    long kvMemoryBytes) {

  /** On the CPU with all its threads and 512 MiB of KV pages. */
  public static EngineSettings usual(String kernels, String device, int threads) {
    return new EngineSettings(kernels, device, threads, 512, 64, 512L << 20);
  }
}
