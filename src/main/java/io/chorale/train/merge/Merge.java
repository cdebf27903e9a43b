package io.chorale.train.merge;

import io.chorale.format.AtomicOutput;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.LoraWeights;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.quant.TensorType;
import io.chorale.train.rounding.Rounding;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Writes a base with one adapter merged into it. The files appear under their name only when they
 * are whole and on the disk. Memory: one float32 matrix at most, plus its rounded form. One call at
 * a time per output; any thread.
 */
public final class Merge {
  private static final long HEADER_ROOM_BYTES = 64L << 20;

  /** Told how far it is, often. */
  public interface Progress {
    void at(long doneBytes, long totalBytes);
  }

  /**
   * What to write.
   *
   * @param out a folder, or a file for the GGUF formats
   * @param maxShardBytes of a safetensors file
   * @param force replace what is there
   * @param rounding of the adapted matrices that are in the wanted 4-bit format already
   */
  public record Options(
      Path out, MergeFormat format, long maxShardBytes, boolean force, Rounding rounding) {

    /** With {@link Rounding#REFIT}, as the format's own quantizers round. */
    public Options(Path out, MergeFormat format, long maxShardBytes, boolean force) {
      this(out, format, maxShardBytes, force, Rounding.REFIT);
    }
  }

  /**
   * What was written.
   *
   * @param bytes of all tensors
   * @param untied the head has got weights of its own
   * @param survival of the update, if it went into 4-bit matrices
   */
  public record Result(
      long bytes, int adaptedModules, boolean untied, Optional<SurvivalReport> survival) {}

  private Merge() {}

  /** The format for an output that does not say: the base's own float type, or half precision. */
  public static MergeFormat usualFormat(BaseModelFiles base, boolean gguf) {
    TensorType type =
        ModelWriter.floatType(base.linear(new ModuleId(0, LoraTarget.Q_PROJ)), TensorType.F16);
    if (gguf) {
      return MergeFormat.GGUF_F16;
    }
    return switch (type) {
      case F32 -> MergeFormat.HF_F32;
      case BF16 -> MergeFormat.HF_BF16;
      default -> MergeFormat.HF_F16;
    };
  }

  /**
   * Merges and writes.
   *
   * @param base opened with {@code Quantization.NONE}
   * @param basePath what {@code base} was opened from; its small files are copied
   * @throws IOException if the output is there already, does not fit on the disk or cannot be
   *     written
   * @throws IllegalArgumentException if adapter, base and format do not go together, and why
   */
  public static Result run(
      BaseModelFiles base, Path basePath, LoraWeights adapter, Options options, Progress progress)
      throws IOException {
    MergeFormat format = options.format();
    boolean file = options.out().getFileName().toString().endsWith(".gguf");
    if (file != format.gguf()) {
      throw new IllegalArgumentException(
          "%s is written as a %s, and the output is named '%s'"
              .formatted(
                  format.option(),
                  format.gguf() ? "file NAME.gguf" : "folder",
                  options.out().getFileName()));
    }
    if (options.maxShardBytes() < 1) {
      throw new IllegalArgumentException(
          "a shard of %d bytes, wanted at least one".formatted(options.maxShardBytes()));
    }
    MergedModel model = new MergedModel(base, adapter);
    SurvivalReport survival = new SurvivalReport();
    long bytes = write(model, basePath, options, survival, progress);
    return new Result(
        bytes,
        adapter.modules().size(),
        base.spec().tiedHead() && !model.spec().tiedHead(),
        survival.isEmpty() ? Optional.empty() : Optional.of(survival));
  }

  private static long write(
      MergedModel model, Path basePath, Options options, SurvivalReport survival, Progress progress)
      throws IOException {
    MergeFormat format = options.format();
    if (format.gguf()) {
      GgufModelWriter gguf = new GgufModelWriter(model, format);
      long bytes = gguf.bytes();
      try (AtomicOutput output =
          new AtomicOutput(options.out(), false, options.force(), bytes + HEADER_ROOM_BYTES)) {
        gguf.write(output.path(), writer(model, options, survival, bytes, progress));
        output.publish();
      }
      return bytes;
    }
    HfFolderWriter folder = new HfFolderWriter(model, format);
    long bytes = folder.bytes();
    Path baseFolder =
        Files.isDirectory(basePath) && Files.exists(basePath.resolve("config.json"))
            ? basePath
            : null;
    try (AtomicOutput output =
        new AtomicOutput(options.out(), true, options.force(), bytes + HEADER_ROOM_BYTES)) {
      folder.write(
          output.path(),
          baseFolder,
          options.maxShardBytes(),
          writer(model, options, survival, bytes, progress));
      output.publish();
    }
    return bytes;
  }

  private static ModelWriter writer(
      MergedModel model, Options options, SurvivalReport survival, long bytes, Progress progress) {
    return new ModelWriter(
        done -> progress.at(done, bytes), survival, options.rounding(), model.spec().layers());
  }
}
