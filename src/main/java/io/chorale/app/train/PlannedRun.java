package io.chorale.app.train;

import io.chorale.app.ByteSize;
import io.chorale.app.UsageException;
import io.chorale.model.BaseModelFiles;
import io.chorale.train.TrainRows;
import io.chorale.train.config.Flag;
import io.chorale.train.config.TrainOptions;
import io.chorale.train.plan.BaseForm;
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

  /** Sizes of training rows, and of held-out and retained ones if there are. */
  static DataShape data(
      TrainOptions options,
      TrainRows rows,
      Optional<TrainRows> heldOut,
      Optional<TrainRows> retained) {
    double share = rows.tokens() == 0 ? 1 : (double) rows.trainedTokens() / rows.tokens();
    return new DataShape(
        lengths(rows),
        share,
        heldOut.map(TrainRows::tokens).orElse(0L),
        retained.map(
            some ->
                new DataShape.Retained(lengths(some), options.retain().orElseThrow().batchSize())));
  }

  private static int[] lengths(TrainRows rows) {
    return rows.examples().stream().mapToInt(e -> e.ids().length).toArray();
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
        options.loop().maxSteps(),
        options.adapter().mergeAware().map(how -> BaseForm.parse(how.format().option())));
  }

  static int computeBytes(TrainOptions options) {
    return switch (options.machine().compute()) {
      case "f32" -> 4;
      case "bf16" -> 2;
      default -> CpuFeatures.bfloat16().isPresent() ? 2 : 4;
    };
  }

  /**
   * What {@code --max-memory} says, 0 without it.
   *
   * @throws UsageException if it is no size, or missing beside {@code --fit}
   */
  static long limitBytes(TrainOptions options) {
    List<String> limit = options.values().all(Flag.MAX_MEMORY);
    if (limit.isEmpty()) {
      if (fit(options)) {
        throw new UsageException("--fit is given without --max-memory, wanted both");
      }
      return 0;
    }
    try {
      return ByteSize.parse(limit.get(0));
    } catch (IllegalArgumentException e) {
      throw new UsageException("--max-memory: " + e.getMessage());
    }
  }

  private static boolean fit(TrainOptions options) {
    return options.values().all(Flag.FIT).equals(List.of("true"));
  }

  /**
   * The plan to go by under {@code --max-memory}: itself, or with {@code --fit} an adapted one.
   *
   * @throws UsageException with the plan and what to change if it does not fit
   */
  static TrainPlan within(TrainPlan plan, TrainOptions options) {
    long limit = limitBytes(options);
    TrainPlan chosen = fit(options) ? plan.fitted(limit) : plan;
    if (!chosen.fits(limit)) {
      throw new UsageException(
          "the run does not fit%s\n%s"
              .formatted(
                  fit(options) ? ", however it is adapted" : "; --fit adapts it",
                  chosen.text(limit)));
    }
    return chosen;
  }

  /** The options with what {@link #within} chose. */
  static TrainOptions adapted(TrainOptions options, TrainPlan chosen) {
    return TrainOptions.of(options.values().with(flags(chosen.shape())));
  }

  /** One line on what was changed, empty if nothing was. */
  static String changed(TrainPlan plan, TrainPlan chosen) {
    Map<Flag, List<String>> before = flags(plan.shape());
    StringBuilder text = new StringBuilder();
    flags(chosen.shape())
        .forEach(
            (flag, value) -> {
              if (!value.equals(before.get(flag))) {
                text.append(' ').append(flag.option()).append(' ').append(value.get(0));
              }
            });
    return text.isEmpty() ? "" : "adapted:" + text + System.lineSeparator();
  }

  private static Map<Flag, List<String>> flags(TrainShape shape) {
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
