package io.chorale.train.config;

import io.chorale.train.data.PromptForm;
import io.chorale.train.data.RecordFormat;
import io.chorale.train.model.AdapterSpec;
import io.chorale.train.model.TrainMethod;
import io.chorale.train.optim.AdamSettings;
import io.chorale.train.optim.LrSchedule;
import io.chorale.train.rounding.FourBit;
import io.chorale.train.rounding.MergedRounding;
import io.chorale.train.rounding.Rounding;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * A training run, checked as a whole: what every flag came to.
 *
 * @param values the same as text, by flag
 */
public record TrainOptions(
    Data data,
    Optional<Retain> retain,
    Baseline base,
    AdapterSpec adapter,
    Loop loop,
    Optimization optimization,
    Machine machine,
    Saving saving,
    FlagValues values) {

  /** What to train on. */
  public record Data(
      List<Path> files,
      Optional<RecordFormat> format,
      Optional<Path> evalFile,
      double evalSplit,
      PromptForm promptForm,
      int maxSeqLength,
      boolean packing) {
    public Data {
      files = List.copyOf(files);
    }
  }

  /**
   * What must stay as it is.
   *
   * @param files of texts on which the adapted model is held to its base
   * @param weight of their mean divergence, beside the mean loss of the data
   * @param batchSize of their rows in each step
   */
  public record Retain(List<Path> files, double weight, int batchSize) {
    public Retain {
      files = List.copyOf(files);
    }
  }

  /**
   * What to train over.
   *
   * @param name what the adapter's files call it; empty: what the model is
   * @param quantization as-is, none, nf4, nf4-dq or q4
   * @param initAdapter a PEFT folder to start from
   */
  public record Baseline(
      Optional<String> model,
      Optional<String> name,
      String quantization,
      Optional<Path> initAdapter) {}

  /**
   * How often.
   *
   * @param maxSteps 0: epochs count
   * @param batchSize rows of a micro-batch
   * @param gradAccum micro-batches of a step
   */
  public record Loop(
      double epochs,
      int maxSteps,
      int batchSize,
      int gradAccum,
      Cadence evalEvery,
      int earlyStopping,
      int samples,
      long seed) {}

  /** How values change. */
  public record Optimization(
      double lr,
      LrSchedule.Kind schedule,
      double warmup,
      double maxGradNorm,
      AdamSettings adam,
      boolean eightBit,
      boolean paged) {}

  /**
   * On what.
   *
   * @param compute auto, f32 or bf16
   * @param threads 0: all processors
   */
  public record Machine(
      String device, String compute, int threads, boolean checkpointing, int lossChunk) {}

  /**
   * Where results go.
   *
   * @param out the PEFT folder, whole or not there
   * @param runDir checkpoints, metrics, report
   * @param resume empty: from the start; {@code auto}: the last checkpoint of the run
   */
  public record Saving(
      String name,
      Path out,
      Path runDir,
      Cadence every,
      int limit,
      boolean half,
      Optional<String> resume,
      boolean force,
      boolean dryRun) {}

  /**
   * Reads and checks every value.
   *
   * @throws IllegalArgumentException naming the flag, what it had and what was wanted
   */
  public static TrainOptions of(FlagValues values) {
    check(values);
    String name = values.text(Flag.NAME);
    return new TrainOptions(
        new Data(
            values.all(Flag.DATA).stream().map(Path::of).toList(),
            values.some(Flag.FORMAT).map(f -> RecordFormat.valueOf(constant(f))),
            values.some(Flag.EVAL_DATA).map(Path::of),
            values.number(Flag.EVAL_SPLIT),
            PromptForm.valueOf(constant(values.text(Flag.PROMPT_FORM))),
            values.whole(Flag.MAX_SEQ_LENGTH),
            values.on(Flag.PACKING)),
        retain(values),
        new Baseline(
            values.some(Flag.MODEL),
            values.some(Flag.BASE_NAME),
            values.text(Flag.BASE_QUANTIZATION),
            values.some(Flag.INIT_ADAPTER).map(Path::of)),
        adapter(values),
        new Loop(
            values.number(Flag.EPOCHS),
            values.whole(Flag.MAX_STEPS),
            values.whole(Flag.BATCH_SIZE),
            values.whole(Flag.GRAD_ACCUM),
            Cadence.parse(values.text(Flag.EVAL_EVERY)),
            values.whole(Flag.EARLY_STOPPING),
            values.whole(Flag.SAMPLES),
            Long.parseLong(values.text(Flag.SEED))),
        optimization(values),
        new Machine(
            values.text(Flag.DEVICE),
            values.text(Flag.COMPUTE),
            values.whole(Flag.THREADS),
            values.on(Flag.CHECKPOINTING),
            values.whole(Flag.LOSS_CHUNK)),
        new Saving(
            name,
            Path.of(values.some(Flag.OUT).orElse("adapters/" + name)),
            Path.of(values.some(Flag.RUN_DIR).orElse("runs/" + name)),
            Cadence.parse(values.text(Flag.SAVE_EVERY)),
            values.whole(Flag.SAVE_LIMIT),
            values.text(Flag.SAVE_DTYPE).equals("f16"),
            values.some(Flag.RESUME),
            values.on(Flag.FORCE),
            values.on(Flag.DRY_RUN)),
        values);
  }

  private static Optional<Retain> retain(FlagValues values) {
    List<Path> files = values.all(Flag.RETAIN_DATA).stream().map(Path::of).toList();
    return files.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new Retain(files, values.number(Flag.RETAIN_WEIGHT), values.whole(Flag.RETAIN_BATCH)));
  }

  private static AdapterSpec adapter(FlagValues values) {
    return new AdapterSpec(
        TrainMethod.parse(values.text(Flag.METHOD)),
        values.whole(Flag.RANK),
        (float) values.number(Flag.ALPHA),
        (float) values.number(Flag.DROPOUT),
        values.all(Flag.TARGET_MODULES),
        FlagType.split(values.all(Flag.RANK_PATTERN), Integer::valueOf),
        FlagType.split(values.all(Flag.ALPHA_PATTERN), Float::valueOf),
        values.all(Flag.MODULES_TO_SAVE),
        mergeAware(values));
  }

  private static Optional<MergedRounding> mergeAware(FlagValues values) {
    String format = values.text(Flag.MERGE_AWARE);
    if (format.equals("off")) {
      return Optional.empty();
    }
    String rounding = values.text(Flag.MERGE_ROUNDING);
    return Optional.of(
        new MergedRounding(
            FourBit.parse(format),
            rounding.equals("auto") ? Rounding.DITHER : Rounding.parse(rounding)));
  }

  private static Optimization optimization(FlagValues values) {
    return new Optimization(
        values.number(Flag.LR),
        LrSchedule.Kind.parse(values.text(Flag.SCHEDULE)),
        values.number(Flag.WARMUP),
        values.number(Flag.MAX_GRAD_NORM),
        AdamSettings.of(values.number(Flag.WEIGHT_DECAY), values.number(Flag.LORA_PLUS_RATIO)),
        values.text(Flag.OPTIMIZER).equals("adamw8bit"),
        values.on(Flag.PAGED));
  }

  /** What no flag can know alone. */
  private static void check(FlagValues values) {
    if (values.all(Flag.DATA).isEmpty()) {
      throw new IllegalArgumentException("--data is missing, wanted at least one file");
    }
    if (values.some(Flag.NAME).isEmpty()) {
      throw new IllegalArgumentException("--name is missing, wanted the adapter's name");
    }
    boolean evaluates =
        values.some(Flag.EVAL_DATA).isPresent() || values.number(Flag.EVAL_SPLIT) > 0;
    if (values.some(Flag.EVAL_DATA).isPresent() && values.number(Flag.EVAL_SPLIT) > 0) {
      throw new IllegalArgumentException(
          "--eval-split is %s beside --eval-data, wanted one of them"
              .formatted(values.text(Flag.EVAL_SPLIT)));
    }
    if (values.whole(Flag.EARLY_STOPPING) > 0 && !evaluates) {
      throw new IllegalArgumentException(
          "--early-stopping is %s without held-out data, wanted --eval-data or --eval-split"
              .formatted(values.text(Flag.EARLY_STOPPING)));
    }
    boolean full = values.text(Flag.METHOD).equals("full");
    if (full && values.some(Flag.INIT_ADAPTER).isPresent()) {
      throw new IllegalArgumentException(
          "--init-adapter is '%s' with --method full, wanted an adapter method"
              .formatted(values.text(Flag.INIT_ADAPTER)));
    }
    if (full && values.number(Flag.LORA_PLUS_RATIO) != 1) {
      throw new IllegalArgumentException(
          "--lora-plus-ratio is %s with --method full, which has no A and B; wanted 1"
              .formatted(values.text(Flag.LORA_PLUS_RATIO)));
    }
    if (!values.all(Flag.RETAIN_DATA).isEmpty()
        && (full || !values.all(Flag.MODULES_TO_SAVE).isEmpty())) {
      throw new IllegalArgumentException(
          "--retain-data is given with %s, which trains the base's own values: nothing is left to hold the model to; wanted factors only"
              .formatted(full ? "--method full" : "--modules-to-save"));
    }
    checkMergeAware(values);
  }

  /** What the merge reads must be what training rounded. */
  private static void checkMergeAware(FlagValues values) {
    if (values.text(Flag.MERGE_AWARE).equals("off")) {
      if (!values.text(Flag.MERGE_ROUNDING).equals("auto")) {
        throw new IllegalArgumentException(
            "--merge-rounding is %s without --merge-aware, wanted both"
                .formatted(values.text(Flag.MERGE_ROUNDING)));
      }
      return;
    }
    String quantization = values.text(Flag.BASE_QUANTIZATION);
    if (!quantization.equals("as-is") && !quantization.equals("none")) {
      throw new IllegalArgumentException(
          "--base-quantization is %s with --merge-aware, which rounds by itself; wanted as-is"
              .formatted(quantization));
    }
    if (values.text(Flag.SAVE_DTYPE).equals("f16")) {
      throw new IllegalArgumentException(
          "--save-dtype is f16 with --merge-aware, wanted f32: rounded factors merge into other weights");
    }
  }

  private static String constant(String label) {
    return label.toUpperCase(Locale.ROOT).replace('-', '_');
  }
}
