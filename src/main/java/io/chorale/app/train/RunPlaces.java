package io.chorale.app.train;

import com.sun.management.OperatingSystemMXBean;
import io.chorale.app.UsageException;
import io.chorale.train.TrainOutcome;
import io.chorale.train.config.Flag;
import io.chorale.train.config.TrainOptions;
import io.chorale.train.model.TrainMethod;
import io.chorale.train.save.RunFacts;
import io.chorale.train.save.RunFolder;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Where a run writes, what it must not overwrite, and what to do with what it wrote. */
final class RunPlaces {
  /** Flags that an adapter to start from brings itself. */
  static final List<Flag> ADAPTER_SHAPE =
      List.of(
          Flag.METHOD,
          Flag.RANK,
          Flag.ALPHA,
          Flag.TARGET_MODULES,
          Flag.RANK_PATTERN,
          Flag.ALPHA_PATTERN,
          Flag.MODULES_TO_SAVE);

  private RunPlaces() {}

  /**
   * Refuses files that are not there and results that would be overwritten.
   *
   * @throws UsageException naming the flag and the file
   */
  static void check(TrainOptions options) throws IOException {
    for (Path file : options.data().files()) {
      require(Files.isRegularFile(file), "--data", file, "an existing file");
    }
    for (Path file : options.data().evalFile().stream().toList()) {
      require(Files.isRegularFile(file), "--eval-data", file, "an existing file");
    }
    for (Path file : options.retain().map(TrainOptions.Retain::files).orElse(List.of())) {
      require(Files.isRegularFile(file), "--retain-data", file, "an existing file");
    }
    for (Path folder : options.base().initAdapter().stream().toList()) {
      require(
          Files.isRegularFile(folder.resolve("adapter_config.json"))
              && Files.isRegularFile(folder.resolve("adapter_model.safetensors")),
          "--init-adapter",
          folder,
          "a folder with adapter_config.json and adapter_model.safetensors");
    }
    Path out = options.saving().out();
    if (Files.exists(out)) {
      if (!options.saving().force()) {
        throw new UsageException(
            "%s is there already; choose another --name or --out, or --force to replace it"
                .formatted(out));
      }
      require(replaceable(out), "--out", out, "an adapter's or a model's folder to replace");
    }
  }

  private static void require(boolean right, String flag, Path had, String wanted) {
    if (!right) {
      throw new UsageException("%s is %s, wanted %s".formatted(flag, had, wanted));
    }
  }

  private static boolean replaceable(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return false;
    }
    try (Stream<Path> children = Files.list(folder)) {
      List<Path> files = children.toList();
      return files.isEmpty()
          || files.stream().allMatch(Files::isRegularFile)
              && files.stream()
                  .anyMatch(f -> f.endsWith("adapter_config.json") || f.endsWith("config.json"));
    }
  }

  /** Refuses to start again over an unfinished run; {@code --force} clears it. */
  static void requireFresh(TrainOptions options, RunFolder folder) throws IOException {
    List<Path> checkpoints = folder.list();
    if (options.saving().resume().isPresent() || checkpoints.isEmpty()) {
      return;
    }
    if (!options.saving().force()) {
      throw new UsageException(
          "%s holds a run up to %s; --resume goes on, --force starts again, --run-dir is another place"
              .formatted(folder.folder(), checkpoints.get(checkpoints.size() - 1).getFileName()));
    }
    folder.clear();
  }

  /** Physical memory, or the container's share of it. */
  static long memoryBytes() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getTotalMemorySize();
  }

  /** What came out and the next commands. */
  static String summary(TrainOptions options, TrainOutcome outcome) {
    String name = options.saving().name();
    if (outcome.stopped()) {
      return "stopped after step %d, %s is whole; go on with the same command and --resume%n"
          .formatted(outcome.state().step(), outcome.checkpoint().orElseThrow());
    }
    RunFacts.Result result = outcome.facts().orElseThrow().result();
    Path out = options.saving().out();
    StringBuilder text = new StringBuilder();
    text.append(
        "%s: %s after %d steps, training loss %.4f%s; report: %s%n"
            .formatted(
                out,
                outcome.why(),
                result.steps(),
                result.trainLoss(),
                result.evalLoss() == null
                    ? ""
                    : ", held-out loss %.4f (before: %.4f), values of step %d kept"
                        .formatted(result.evalLoss(), result.evalLossBefore(), result.step()),
                options.saving().runDir().resolve("report.html")));
    if (options.adapter().method() == TrainMethod.FULL) {
      return text.append("next: ./chorale serve --model %s%n".formatted(out)).toString();
    }
    Path root = out.toAbsolutePath().normalize().getParent();
    boolean usualRoot = root.equals(Path.of("adapters").toAbsolutePath().normalize());
    text.append(
        "next: ./chorale serve%s   # then ask for model \"%s\"%n"
            .formatted(usualRoot ? "" : " --adapter-root " + root, out.getFileName()));
    return text.append(
            "  or: ./chorale push --server http://127.0.0.1:8000 --name %s %s%n"
                .formatted(name, out))
        .toString();
  }
}
