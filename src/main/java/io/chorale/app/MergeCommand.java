package io.chorale.app;

import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRef;
import io.chorale.app.store.BaseModelStore;
import io.chorale.app.store.Progress;
import io.chorale.lora.LoraWeights;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.train.merge.Merge;
import io.chorale.train.merge.MergeFormat;
import io.chorale.train.rounding.FourBit;
import io.chorale.train.rounding.Rounding;
import io.chorale.train.save.RunFacts;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code chorale merge}: reads an adapter as the server would and writes its merged base. */
@Command(
    name = "merge",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Merge an adapter into its base and write a model of its own.",
    footer = {
      "",
      "Formats: hf-f32, hf-bf16, hf-f16 and nf4 are Hugging Face folders (transformers, vLLM);",
      "gguf-f16, gguf-q8_0, gguf-q4_0 and gguf-q4_1 are files for llama.cpp. Merging into 4 bits",
      "rounds small updates away; a report says how much of yours is left."
    })
final class MergeCommand implements Callable<Integer> {
  private static final long PROGRESS_MS = 2000;

  @Spec CommandSpec spec;

  @Parameters(
      paramLabel = "ADAPTER",
      description = "PEFT folder, folder with one .gguf, or .gguf file.")
  Path adapter;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR|FILE.gguf",
      description = "Where to write. Must not exist, see --force.")
  Path out;

  @Option(
      names = "--model",
      paramLabel = "PATH|ORG/NAME",
      description = "The base, as for serve. Default: SmolLM2-135M-Instruct.")
  String model;

  @Option(
      names = "--to",
      paramLabel = "FORMAT",
      description = {
        "hf-f32, hf-bf16, hf-f16, gguf-f16, gguf-q8_0, gguf-q4_0, gguf-q4_1 or nf4.",
        "Default: gguf-f16 for FILE.gguf; for DIR the base's float type, else hf-f16."
      })
  String to;

  @Option(
      names = "--max-shard-size",
      paramLabel = "SIZE",
      defaultValue = "5GiB",
      description = "Largest safetensors file of a folder. Default: ${DEFAULT-VALUE}")
  String maxShardSize;

  @Option(
      names = "--rounding",
      paramLabel = "NAME",
      description = {
        "Into the 4-bit format that the base has: dither, refit or keep (docs/training.md).",
        "Default: what the adapter was trained for with --merge-aware, else dither."
      })
  String rounding;

  @Option(names = "--force", description = "Replace a model that is there already.")
  boolean force;

  private long lastMs = nowMs();

  @Override
  public Integer call() throws IOException {
    PrintWriter text = spec.commandLine().getOut();
    MergeFormat format = to == null ? null : usage(() -> MergeFormat.parse(to));
    long shard = usage(() -> ByteSize.parse(maxShardSize));
    if (!Files.exists(adapter)) {
      throw new NoSuchFileException(adapter + ": no such adapter folder or file");
    }
    Path basePath =
        BaseModelStore.ofUser(Optional.empty(), System.getenv(), Progress.onStandardError())
            .bring(Optional.ofNullable(model));
    try (BaseModelFiles base = BaseModelFiles.open(basePath, Quantization.NONE)) {
      refuseOverlap(basePath);
      String name = adapter.toAbsolutePath().normalize().getFileName().toString();
      LoraWeights weights =
          new AdapterLoader(base.spec(), base.fingerprint(), AdapterLoader.DEFAULT_MAX_BYTES)
              .load(new AdapterRef(name, 1), adapter)
              .weights();
      boolean file = out.toString().endsWith(".gguf");
      MergeFormat chosen = format == null ? Merge.usualFormat(base, file) : format;
      Optional<RunFacts.MergeAware> trained = RunFacts.MergeAware.of(adapter);
      boolean trainedForIt =
          trained.isPresent()
              && chosen.rounded().map(FourBit::option).equals(trained.map(t -> t.format()));
      Rounding how = rounding(trainedForIt ? trained.get().rounding() : null);
      Merge.Result result =
          Merge.run(
              base, basePath, weights, new Merge.Options(out, chosen, shard, force, how), this::at);
      text.printf(
          "merged %s into %s: %d modules, %s, %.1f MB, %s%n",
          name,
          base.spec().name(),
          result.adaptedModules(),
          chosen.option(),
          result.bytes() / 1e6,
          out);
      if (result.untied()) {
        text.println(
            "the adapter makes embedding and head differ: the head has weights of its own now");
      }
      if (chosen.gguf() && base.spec().slidingWindow() > 0) {
        text.printf(
            "note: %s attends to the last %d tokens, which a GGUF file of this kind does not say%n",
            base.spec().name(), base.spec().slidingWindow());
      }
      boolean asTrained = trainedForIt && how.option().equals(trained.get().rounding());
      result.survival().ifPresent(report -> text.print(asTrained ? report.table() : report.text()));
      trained.ifPresent(facts -> text.println(trainedFor(name, facts, chosen, asTrained)));
      text.flush();
    }
    return 0;
  }

  private Rounding rounding(String trainedWith) {
    String chosen = rounding != null ? rounding : trainedWith;
    return chosen == null ? Rounding.DITHER : usage(() -> Rounding.parse(chosen));
  }

  private static String trainedFor(
      String name, RunFacts.MergeAware facts, MergeFormat format, boolean asTrained) {
    return asTrained
        ? "%s was trained through this rounding (--merge-aware %s): its held-out loss holds for this model"
            .formatted(name, facts.format())
        : "warning: %s was trained for a merge into %s with rounding %s, not for %s; evaluate both"
            .formatted(name, facts.format(), facts.rounding(), format.option());
  }

  /** Replacing what is being read would leave nothing. */
  private void refuseOverlap(Path basePath) {
    Path target = out.toAbsolutePath().normalize();
    for (Path source : new Path[] {basePath, adapter}) {
      Path read = source.toAbsolutePath().normalize();
      if (read.startsWith(target) || !Files.isDirectory(read) && read.equals(target)) {
        throw new UsageException(
            "--out %s holds %s, which is read; choose another place".formatted(out, source));
      }
    }
  }

  private void at(long doneBytes, long totalBytes) {
    long now = nowMs();
    if (now - lastMs >= PROGRESS_MS) {
      lastMs = now;
      PrintWriter err = spec.commandLine().getErr();
      err.printf(
          "merging: %.0f %%, %.1f of %.1f MB%n",
          100.0 * doneBytes / totalBytes, doneBytes / 1e6, totalBytes / 1e6);
      err.flush();
    }
  }

  private static <T> T usage(Callable<T> read) {
    try {
      return read.call();
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage());
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static long nowMs() {
    return System.nanoTime() / 1_000_000;
  }
}
