package io.chorale.app.train;

import io.chorale.app.UsageException;
import io.chorale.model.BaseModelFiles;
import io.chorale.train.TrainRows;
import io.chorale.train.config.Flag;
import io.chorale.train.config.TrainOptions;
import io.chorale.train.data.SftExample;
import io.chorale.train.plan.BaseShape;
import io.chorale.train.plan.DataShape;
import io.chorale.train.plan.MachineRate;
import io.chorale.train.plan.Targets;
import io.chorale.train.plan.TrainPlan;
import io.chorale.train.plan.TrainShape;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** From a run's flags, files and rows to its plan, and back to flags. */
final class PlannedRun {
  private PlannedRun() {}

  /**
   * Plans a run; reads no weights.
   *
   * @throws UsageException if a target matches nothing
   */
  static TrainPlan of(
      TrainOptions options, BaseModelFiles files, DataShape data, MachineRate rate) {
    try {
      BaseShape base = BaseShape.of(files, options.base().quantization());
      return TrainPlan.of(base, shape(options, base), data, rate);
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage());
    }
  }

  /** Sizes of training rows, and of held-out ones if there are. */
  static DataShape data(TrainRows rows, Optional<TrainRows> heldOut) {
    int[] lengths = rows.examples().stream().mapToInt(e -> e.ids().length).toArray();
    double share = rows.tokens() == 0 ? 1 : (double) rows.trainedTokens() / rows.tokens();
    return new DataShape(lengths, share, heldOut.map(TrainRows::tokens).orElse(0L));
  }

  private static TrainShape shape(TrainOptions options, BaseShape base) {
    return new TrainShape(
        options.adapter().method(),
        Targets.ranks(options.adapter(), base),
        Targets.savedWeights(options.adapter(), base),
        options.adapter().dropout() > 0,
        computeBytes(options),
        options.machine().checkpointing(),
        options.machine().lossChunk(),
        options.optimization().eightBit(),
        options.optimization().paged(),
        options.loop().batchSize(),
        options.loop().gradAccum(),
        options.data().maxSeqLength(),
        options.data().packing(),
        options.loop().epochs(),
        options.loop().maxSteps());
  }

  static int computeBytes(TrainOptions options) {
    return switch (options.machine().compute()) {
      case "f32" -> 4;
      case "bf16" -> 2;
      default -> CpuFeatures.bfloat16().isPresent() ? 2 : 4;
    };
  }

  /**
   * The plan to go by under a limit.
   *
   * @param limitBytes 0: none
   * @param fit adapt flags until it fits
   * @throws UsageException with the plan and what to change if it does not fit
   */
  static TrainPlan within(TrainPlan plan, long limitBytes, boolean fit) {
    TrainPlan chosen = fit ? plan.fitted(limitBytes) : plan;
    if (!chosen.fits(limitBytes)) {
      throw new UsageException(
          "the run does not fit%s\n%s"
              .formatted(fit ? ", however it is adapted" : "; --fit adapts it", chosen.text(limitBytes)));
    }
    return chosen;
  }

  /** The flags that {@link #within} may have changed. */
  static Map<Flag, List<String>> flags(TrainShape shape) {
    Map<Flag, List<String>> flags = new EnumMap<>(Flag.class);
    flags.put(Flag.BATCH_SIZE, List.of(Integer.toString(shape.batchSize())));
    flags.put(Flag.GRAD_ACCUM, List.of(Integer.toString(shape.gradAccum())));
    flags.put(Flag.CHECKPOINTING, List.of(Boolean.toString(shape.checkpointing())));
    flags.put(Flag.LOSS_CHUNK, List.of(Integer.toString(shape.lossChunk())));
    flags.put(Flag.OPTIMIZER, List.of(shape.eightBit() ? "adamw8bit" : "adamw"));
    flags.put(Flag.PAGED, List.of(Boolean.toString(shape.paged())));
    return flags;
  }
}
