package io.chorale.train.model;

import io.chorale.tensor.TorchDevice;

/**
 * How the arithmetic is done; none of it changes what is computed beyond rounding.
 *
 * @param checkpointing keep only each layer's input and compute the layer again for its gradients:
 *     less memory, about a third more time
 * @param lossChunkRows logits are made for so many rows at a time, 1 or more; 256 rows of 49,152
 *     float32 logits take 48 MiB
 * @param threads of libtorch within one operation, 1 or more; process-wide
 */
public record Compute(
    TorchDevice device, ComputeType type, boolean checkpointing, int lossChunkRows, int threads) {
  public Compute {
    if (lossChunkRows < 1) {
      throw new IllegalArgumentException(
          "lossChunkRows is %d, wanted 1 or more".formatted(lossChunkRows));
    }
    if (threads < 1) {
      throw new IllegalArgumentException("threads is %d, wanted 1 or more".formatted(threads));
    }
  }
}
