package io.chorale.train.plan;

import io.chorale.lora.ModuleId;
import io.chorale.train.model.TrainMethod;
import java.util.Map;
import java.util.Optional;

/**
 * What of a run's flags decides about memory and time.
 *
 * @param ranks of the adapted modules; empty for FULL
 * @param savedWeights of modules that are trained whole beside the factors
 * @param computeBytes of an activation: 4 for f32, 2 for bf16
 * @param lossChunk rows whose logits are in memory at once
 * @param eightBit optimizer state in 8 bits
 * @param paged optimizer state in a mapped file, which can leave memory
 * @param packing fill micro-batches up to batchSize * maxSeqLength tokens
 * @param epochs times through the data, if maxSteps is 0
 * @param rounded what {@code --merge-aware} rounds the layers' weights to before each step
 */
public record TrainShape(
    TrainMethod method,
    Map<ModuleId, Integer> ranks,
    long savedWeights,
    boolean dropout,
    int computeBytes,
    boolean checkpointing,
    int lossChunk,
    boolean eightBit,
    boolean paged,
    int batchSize,
    int gradAccum,
    int maxSeqLength,
    boolean packing,
    double epochs,
    int maxSteps,
    Optional<BaseForm> rounded) {
  public TrainShape {
    ranks = Map.copyOf(ranks);
    if (computeBytes != 2 && computeBytes != 4) {
      throw new IllegalArgumentException(
          "computeBytes is %d, wanted 2 or 4".formatted(computeBytes));
    }
    if (batchSize < 1 || gradAccum < 1 || maxSeqLength < 2 || lossChunk < 1) {
      throw new IllegalArgumentException(
          "batchSize %d, gradAccum %d, maxSeqLength %d, lossChunk %d: wanted 1, 1, 2, 1 or more"
              .formatted(batchSize, gradAccum, maxSeqLength, lossChunk));
    }
  }

  TrainShape withBatch(int size, int accumulated) {
    return new TrainShape(
        method,
        ranks,
        savedWeights,
        dropout,
        computeBytes,
        checkpointing,
        lossChunk,
        eightBit,
        paged,
        size,
        accumulated,
        maxSeqLength,
        packing,
        epochs,
        maxSteps,
        rounded);
  }

  TrainShape withCheckpointing() {
    return new TrainShape(
        method,
        ranks,
        savedWeights,
        dropout,
        computeBytes,
        true,
        lossChunk,
        eightBit,
        paged,
        batchSize,
        gradAccum,
        maxSeqLength,
        packing,
        epochs,
        maxSteps,
        rounded);
  }

  TrainShape withLossChunk(int rows) {
    return new TrainShape(
        method,
        ranks,
        savedWeights,
        dropout,
        computeBytes,
        checkpointing,
        rows,
        eightBit,
        paged,
        batchSize,
        gradAccum,
        maxSeqLength,
        packing,
        epochs,
        maxSteps,
        rounded);
  }

  TrainShape withState(boolean inEightBits, boolean inFile) {
    return new TrainShape(
        method,
        ranks,
        savedWeights,
        dropout,
        computeBytes,
        checkpointing,
        lossChunk,
        inEightBits,
        inFile,
        batchSize,
        gradAccum,
        maxSeqLength,
        packing,
        epochs,
        maxSteps,
        rounded);
  }

  TrainShape withLength(int tokens) {
    return new TrainShape(
        method,
        ranks,
        savedWeights,
        dropout,
        computeBytes,
        checkpointing,
        lossChunk,
        eightBit,
        paged,
        batchSize,
        gradAccum,
        tokens,
        packing,
        epochs,
        maxSteps,
        rounded);
  }

  TrainShape withCompute(int bytes) {
    return new TrainShape(
        method,
        ranks,
        savedWeights,
        dropout,
        bytes,
        checkpointing,
        lossChunk,
        eightBit,
        paged,
        batchSize,
        gradAccum,
        maxSeqLength,
        packing,
        epochs,
        maxSteps,
        rounded);
  }

  /** The same run with the layers' weights rounded to a form before each step. */
  TrainShape withRounded(BaseForm form) {
    return new TrainShape(
        method,
        ranks,
        savedWeights,
        dropout,
        computeBytes,
        checkpointing,
        lossChunk,
        eightBit,
        paged,
        batchSize,
        gradAccum,
        maxSeqLength,
        packing,
        epochs,
        maxSteps,
        Optional.of(form));
  }
}
