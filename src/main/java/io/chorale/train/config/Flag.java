package io.chorale.train.config;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Every flag of a training run, which is also its key in YAML: {@code --max-seq-length}. */
public enum Flag {
  DATA(FlagType.PATH.list(), null, "Training data: .jsonl, .json, .csv or .tsv. Repeatable."),
  FORMAT(
      FlagType.choice("alpaca", "messages", "sharegpt", "prompt-completion", "text"),
      null,
      "Of the data. Default: told from the fields."),
  EVAL_DATA(FlagType.PATH, null, "Held-out data; the adapter that does best on it is kept."),
  EVAL_SPLIT(
      FlagType.number("[0, 0.5]"), "0", "Share of --data to hold out, if there is no --eval-data."),
  RETAIN_DATA(
      FlagType.PATH.list(),
      null,
      "Texts on which the adapter shall answer as the base does. Repeatable."),
  RETAIN_WEIGHT(
      FlagType.number("(0, inf)"), "1", "Of the mean divergence from the base on those, in nats."),
  RETAIN_BATCH(FlagType.whole(1, 65536), "8", "Rows of --retain-data in each step."),
  PROMPT_FORM(
      FlagType.choice("chat-template", "instruction"),
      "chat-template",
      "How a row becomes text; instruction is ### Instruction / ### Response."),
  MAX_SEQ_LENGTH(
      FlagType.whole(2, Integer.MAX_VALUE), "2048", "Tokens; longer rows are cut, and named."),
  PACKING(
      FlagType.SWITCH,
      "false",
      "Fill micro-batches up to batch-size * max-seq-length tokens; rows do not see each other."),

  NAME(
      FlagType.matching("[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}", "1 to 128 of A-Z a-z 0-9 . _ -"),
      null,
      "Of the adapter."),
  OUT(FlagType.PATH, null, "Where the adapter goes. Default: adapters/NAME"),
  RUN_DIR(FlagType.PATH, null, "Checkpoints, metrics and report. Default: runs/NAME"),
  FORCE(FlagType.SWITCH, "false", "Replace the adapter and the run that are there."),

  MODEL(FlagType.TEXT, null, "The base, as for serve. Default: SmolLM2-135M-Instruct."),
  BASE_NAME(
      FlagType.TEXT,
      null,
      "What the adapter's files call the base, such as its hub id. Default: what --model names."),
  BASE_QUANTIZATION(
      FlagType.choice("as-is", "none", "nf4", "nf4-dq", "q4"),
      "as-is",
      "as-is keeps what the file has (a 4-bit file makes QLoRA); none wants a float base; nf4,"
          + " nf4-dq and q4 quantize a float base."),
  METHOD(FlagType.choice("lora", "rslora", "dora", "full"), "lora", "What is trained."),
  RANK(FlagType.whole(1, 65536), "16", "r of the factors."),
  ALPHA(FlagType.number("(0, inf)"), "32", "Scaling is alpha / rank; rslora: alpha / sqrt(rank)."),
  DROPOUT(FlagType.number("[0, 1)"), "0.05", "On the input of A."),
  TARGET_MODULES(
      FlagType.TEXT.list(), "all-linear", "Names with commas, one regular expression, all-linear."),
  RANK_PATTERN(FlagType.whole(1, 65536).pairs(), null, "Ranks of modules whose name ends so."),
  ALPHA_PATTERN(FlagType.number("(0, inf)").pairs(), null, "Alphas, likewise."),
  MODULES_TO_SAVE(FlagType.TEXT.list(), null, "Modules trained whole, such as lm_head."),
  MERGE_AWARE(
      FlagType.choice("off", "nf4", "q4_0", "q4_1"),
      "off",
      "Train for a merge into this 4-bit format: round in every step as the merge will."),
  MERGE_ROUNDING(
      FlagType.choice("auto", "refit", "keep", "dither"),
      "auto",
      "With --merge-aware, of a base that has the format. auto: dither."),
  INIT_ADAPTER(FlagType.PATH, null, "PEFT folder to train on; its rank, targets ... are taken."),

  EPOCHS(FlagType.number("(0, inf)"), "3", "Times through the data."),
  MAX_STEPS(FlagType.whole(0, Integer.MAX_VALUE), "0", "If not 0, so many steps, not --epochs."),
  BATCH_SIZE(FlagType.whole(1, 65536), "4", "Rows of a micro-batch."),
  GRAD_ACCUM(FlagType.whole(1, 65536), "4", "Micro-batches of a step."),
  LR(FlagType.number("(0, inf)"), "0.0002", "Peak learning rate."),
  SCHEDULE(FlagType.choice("cosine", "linear", "constant"), "cosine", "After the warm-up."),
  WARMUP(FlagType.number("[0, inf)"), "0.03", "Below 1: share of all steps; else steps."),
  WEIGHT_DECAY(FlagType.number("[0, inf)"), "0", "Decoupled."),
  MAX_GRAD_NORM(FlagType.number("[0, inf)"), "0.3", "Longer gradients are scaled down; 0: not."),
  OPTIMIZER(FlagType.choice("adamw", "adamw8bit"), "adamw", "adamw8bit: a quarter of the state."),
  PAGED(FlagType.SWITCH, "false", "Optimizer state in a mapped file of the run's folder."),
  LORA_PLUS_RATIO(FlagType.number("(0, inf)"), "1", "Learning rate of B over that of A."),
  SEED(FlagType.whole(Long.MIN_VALUE, Long.MAX_VALUE), "42", "Of A, order, dropout, split."),

  CHECKPOINTING(
      FlagType.SWITCH,
      "false",
      "Compute layers again for their gradients: less memory, more time."),
  LOSS_CHUNK(FlagType.whole(1, 1 << 20), "256", "Rows whose logits are in memory at once."),
  COMPUTE(FlagType.choice("auto", "f32", "bf16"), "auto", "auto: bf16 if the CPU has it."),
  DEVICE(FlagType.choice("cpu", "cuda"), "cpu", "Where to compute."),
  THREADS(FlagType.whole(0, 4096), "0", "0: one for each processor."),

  MAX_MEMORY(
      FlagType.TEXT,
      null,
      "Resident memory it may take, such as 2GiB; refuses or, with --fit, adapts."),
  FIT(FlagType.SWITCH, "false", "Change flags until the plan fits in --max-memory."),

  EVAL_EVERY(FlagType.CADENCE, "epoch", "When to evaluate."),
  SAVE_EVERY(FlagType.CADENCE, "epoch", "When to write a checkpoint."),
  SAVE_LIMIT(FlagType.whole(1, 1000), "2", "Checkpoints to keep."),
  EARLY_STOPPING(
      FlagType.whole(0, 1000), "0", "Stop after so many evaluations without a better one; 0: not."),
  SAVE_DTYPE(FlagType.choice("f32", "f16"), "f32", "Of the adapter's weights."),
  SAMPLES(FlagType.whole(0, 16), "1", "Rows answered before and after, for the report."),
  RESUME(FlagType.PATH, null, "Go on from a checkpoint; without a value, from the last."),
  DRY_RUN(FlagType.SWITCH, "false", "Check everything, print the plan, train nothing.");

  private final FlagType type;
  private final String usual;
  private final String description;

  Flag(FlagType type, String usual, String description) {
    this.type = type;
    this.usual = usual;
    this.description = description;
  }

  /** {@code max-seq-length}. */
  public String key() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** {@code --max-seq-length}. */
  public String option() {
    return "--" + key();
  }

  public FlagType type() {
    return type;
  }

  /** The value if none is given. */
  public Optional<String> usual() {
    return Optional.ofNullable(usual);
  }

  public String description() {
    return description;
  }

  /**
   * Whether another value makes another adapter, bit for bit, from the same data and base. Those
   * must not change between a run and its resumption.
   */
  public boolean shapesTheResult() {
    return switch (this) {
      case DATA, EVAL_DATA, RETAIN_DATA, MODEL, INIT_ADAPTER -> false; // held by their contents
      case NAME, BASE_NAME, OUT, RUN_DIR, FORCE, RESUME, DRY_RUN -> false;
      case SAVE_EVERY, SAVE_LIMIT, SAMPLES, PAGED, THREADS, MAX_MEMORY, FIT -> false;
      default -> true;
    };
  }

  /**
   * @throws IllegalArgumentException naming the key and the nearest that there is
   */
  public static Flag ofKey(String key) {
    for (Flag flag : values()) {
      if (flag.key().equals(key.replace('_', '-'))) {
        return flag;
      }
    }
    List<String> known = Arrays.stream(values()).map(Flag::key).toList();
    throw new IllegalArgumentException(
        "unknown key '%s'; did you mean '%s'?".formatted(key, nearest(key, known)));
  }

  private static String nearest(String key, List<String> known) {
    return known.stream()
        .min(java.util.Comparator.comparingInt(k -> distance(key, k)))
        .orElseThrow();
  }

  /** Insertions, deletions and replacements from one word to the other. */
  private static int distance(String from, String to) {
    int[] row = new int[to.length() + 1];
    Arrays.setAll(row, i -> i);
    for (int i = 1; i <= from.length(); i++) {
      int corner = row[0];
      row[0] = i;
      for (int j = 1; j <= to.length(); j++) {
        int replaced = corner + (from.charAt(i - 1) == to.charAt(j - 1) ? 0 : 1);
        corner = row[j];
        row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[to.length()];
  }
}
