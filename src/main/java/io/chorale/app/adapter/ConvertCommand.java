package io.chorale.app.adapter;

import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRef;
import io.chorale.adapter.read.AdapterContents;
import io.chorale.adapter.write.GgufAdapterWriter;
import io.chorale.adapter.write.PeftFolderWriter;
import io.chorale.app.UsageException;
import io.chorale.app.store.BaseModelStore;
import io.chorale.app.store.Progress;
import io.chorale.format.AtomicOutput;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import java.io.IOException;
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

/** {@code chorale convert}: reads an adapter as the server would and writes it in another form. */
@Command(
    name = "convert",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Write an adapter in another program's form, exactly.",
    footer = {
      "",
      "Reads PEFT folders, MLX folders and GGUF adapters. Writes a GGUF adapter for llama.cpp when",
      "--out ends in .gguf, else a PEFT folder (transformers, vLLM, chorale). rsLoRA and alpha",
      "patterns keep their factors in both. DoRA cannot be said in GGUF: merge it instead."
    })
public final class ConvertCommand implements Callable<Integer> {
  @Spec CommandSpec spec;

  @Parameters(
      paramLabel = "ADAPTER",
      description = "PEFT folder, MLX folder, folder with one .gguf, or .gguf file.")
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

  @Option(names = "--force", description = "Replace an adapter that is there already.")
  boolean force;

  @Override
  public Integer call() throws IOException {
    if (!Files.exists(adapter)) {
      throw new NoSuchFileException(adapter + ": no such adapter folder or file");
    }
    Path source = adapter.toAbsolutePath().normalize();
    if (source.startsWith(out.toAbsolutePath().normalize())) {
      throw new UsageException(
          "--out %s holds %s, which is read; choose another place".formatted(out, adapter));
    }
    Path basePath =
        BaseModelStore.ofUser(Optional.empty(), System.getenv(), Progress.onStandardError())
            .bring(Optional.ofNullable(model));
    try (BaseModelFiles base = BaseModelFiles.open(basePath, Quantization.NONE)) {
      String name = source.getFileName().toString().replaceFirst("\\.gguf$", "");
      AdapterLoader.Loaded loaded =
          new AdapterLoader(base.spec(), base.fingerprint(), AdapterLoader.DEFAULT_MAX_BYTES)
              .load(new AdapterRef(name, 1), adapter);
      AdapterContents contents =
          new AdapterContents(
              loaded.weights().modules(), loaded.method(), loaded.weights().bytes());
      write(base, name, contents);
      spec.commandLine()
          .getOut()
          .printf(
              "converted %s: %s, %d modules of %s, rank %d, %.1f MB, %s%n",
              name,
              loaded.method(),
              contents.modules().size(),
              base.spec().name(),
              loaded.rank(),
              contents.bytes() / 1e6,
              out);
      spec.commandLine().getOut().flush();
    }
    return 0;
  }

  private void write(BaseModelFiles base, String name, AdapterContents contents)
      throws IOException {
    boolean gguf = out.toString().endsWith(".gguf");
    try (AtomicOutput output = new AtomicOutput(out, !gguf, force, 2 * contents.bytes())) {
      if (gguf) {
        GgufAdapterWriter.write(output.path(), contents, name, base.spec());
      } else {
        PeftFolderWriter.write(
            output.path(), contents, base.spec(), base.spec().name(), base.fingerprint());
      }
      output.publish();
    }
  }
}
