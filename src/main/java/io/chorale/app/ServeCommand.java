package io.chorale.app;

import io.quarkus.runtime.Quarkus;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/**
 * {@code chorale serve}: hands the options over as {@code chorale.*} system properties, checks all
 * settings, then boots Quarkus, which builds the server through {@link Wiring}.
 */
@Command(
    name = "serve",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Serve a base model and its adapters behind the OpenAI API.",
    footer = {
      "",
      "Each --some-option is also the environment variable CHORALE_SOME_OPTION and the property",
      "chorale.some-option; the option wins over the environment, the environment over a file."
    })
final class ServeCommand implements Callable<Integer> {
  /** Quarkus ran and its exit handler has ended, or is ending, the process. */
  static final int SERVED = -1;

  @ParentCommand Main main;
  @Spec CommandSpec spec;

  @Option(
      names = "--model",
      paramLabel = "PATH|ORG/NAME",
      description = {
        "GGUF file, Hugging Face folder, or hub id (needs HF_ENDPOINT).",
        "Default: SmolLM2-135M-Instruct, brought once into the cache folder."
      })
  String model;

  @Option(
      names = "--served-model-name",
      paramLabel = "NAME",
      description = "The base model's name in the API. Default: from its files.")
  String servedModelName;

  @Option(
      names = "--host",
      paramLabel = "ADDRESS",
      description = "Address to listen on. Default: " + ChoraleConfig.HOST)
  String host;

  @Option(
      names = "--port",
      paramLabel = "N",
      description = "0 to 65535, 0 is any free port. Default: " + ChoraleConfig.PORT)
  Integer port;

  @Option(
      names = "--device",
      paramLabel = "cpu|cuda",
      description = "Where to compute. Default: " + ChoraleConfig.DEVICE)
  String device;

  @Option(
      names = "--kernels",
      paramLabel = "auto|native|torch",
      description = {
        "What computes on the CPU: Chorale's own kernels or libtorch.",
        "Default: " + ChoraleConfig.KERNELS + ", the own ones where they could be built"
      })
  String kernels;

  @Option(
      names = "--quantize",
      paramLabel = "FORMAT",
      description = {
        "What full-precision linears become at load: nf4, nf4-dq, q4, q8, none.",
        "Quantized files stay as they are. Default: " + ChoraleConfig.QUANTIZE
      })
  String quantize;

  @Option(
      names = "--nf4",
      paramLabel = "exact|fast",
      description = {
        "How NF4 weights are multiplied; fast rounds inputs and codebook to int8, native",
        "kernels only. Default: " + ChoraleConfig.NF4
      })
  String nf4;

  @Option(
      names = "--adapter-root",
      paramLabel = "DIR",
      description = {
        "Folder of adapter folders, each served under its name; adapters are",
        "loaded from nowhere else. Repeatable. Default: "
            + ChoraleConfig.ADAPTER_ROOT
            + ", if it exists"
      })
  List<String> adapterRoot;

  @Option(
      names = "--api-key-file",
      paramLabel = "FILE",
      description = "Keys for /v1, one per line. Default: no key wanted.")
  String apiKeyFile;

  @Option(
      names = "--admin-key-file",
      paramLabel = "FILE",
      description = "Keys for loading and removing adapters. Default: loopback only.")
  String adminKeyFile;

  @Option(
      names = "--max-loras",
      paramLabel = "N",
      description = "Adapters in one batch. Default: " + ChoraleConfig.MAX_LORAS)
  Integer maxLoras;

  @Option(
      names = "--max-batch-tokens",
      paramLabel = "N",
      description = "Rows of one step. Default: " + ChoraleConfig.MAX_BATCH_TOKENS)
  Integer maxBatchTokens;

  @Option(
      names = "--max-running",
      paramLabel = "N",
      description = "Sequences generated at once. Default: " + ChoraleConfig.MAX_RUNNING)
  Integer maxRunning;

  @Option(
      names = "--max-queued",
      paramLabel = "N",
      description = "Sequences that may wait; more get a 429. Default: " + ChoraleConfig.MAX_QUEUED)
  Integer maxQueued;

  @Option(
      names = "--max-model-tokens",
      paramLabel = "N",
      description = "Prompt plus completion. Default: the model's own limit.")
  Integer maxModelTokens;

  @Option(
      names = "--kv-memory",
      paramLabel = "SIZE",
      description = "Memory of the KV cache, with unit. Default: " + ChoraleConfig.KV_MEMORY)
  String kvMemory;

  @Option(
      names = "--kv-cache",
      paramLabel = "f16|q8",
      description = {
        "How keys and values are kept; q8 holds nearly twice as many, native kernels",
        "only. Default: " + ChoraleConfig.KV_CACHE
      })
  String kvCache;

  @Option(
      names = "--kv-block-tokens",
      paramLabel = "N",
      description = "Positions per KV block. Default: " + ChoraleConfig.KV_BLOCK_TOKENS)
  Integer kvBlockTokens;

  @Option(
      names = "--adapter-cache",
      paramLabel = "SIZE",
      description = {
        "Memory for adapters that left the batch, with unit.",
        "Default: " + ChoraleConfig.ADAPTER_CACHE
      })
  String adapterCache;

  @Option(
      names = "--max-step-ms",
      paramLabel = "N",
      description = {
        "How long a step may take while answers are generated, 0 is no limit.",
        "Default: " + ChoraleConfig.MAX_STEP_MS
      })
  Integer maxStepMs;

  @Option(
      names = "--speculative-tokens",
      paramLabel = "N",
      description = {
        "Next tokens guessed from the text so far, checked in one step; 0 is none.",
        "Default: " + ChoraleConfig.SPECULATIVE_TOKENS + ", with libtorch 0"
      })
  Integer speculativeTokens;

  @Option(
      names = "--speculative-ngram",
      paramLabel = "N",
      description = {
        "Tokens that must have occurred before for a guess.",
        "Default: " + ChoraleConfig.SPECULATIVE_NGRAM
      })
  Integer speculativeNgram;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Compute threads. Default: one per processor.")
  Integer threads;

  @Option(
      names = "--state-dir",
      paramLabel = "DIR",
      description = {
        "Where registered adapters are remembered.",
        "Default: .chorale in the first adapter root"
      })
  String stateDir;

  @Option(
      names = "--cache",
      paramLabel = "DIR",
      description = "Where downloaded models lie. Default: ~/.cache/chorale")
  String cache;

  @Override
  public Integer call() {
    spec.options().stream().filter(o -> o.longestName().startsWith("--")).forEach(this::export);
    SettingsReader.read(); // refuses before the slow part starts
    boolean verbose = main.verbose;
    Quarkus.run(null, (code, failure) -> exit(code, failure, verbose));
    return SERVED;
  }

  /** Sets {@code chorale.x-y} from a given {@code --x-y}; a list as SmallRye writes one. */
  private void export(OptionSpec option) {
    Object value = option.getValue();
    if (value == null || option.usageHelp() || option.versionHelp() || option.inherited()) {
      return;
    }
    String text =
        value instanceof List<?> list
            ? list.stream()
                .map(o -> o.toString().replace("\\", "\\\\").replace(",", "\\,"))
                .collect(Collectors.joining(","))
            : value.toString();
    // "${" would start an expression in a property's value
    System.setProperty("chorale." + option.longestName().substring(2), text.replace("${", "\\${"));
  }

  private static void exit(int code, Throwable failure, boolean verbose) {
    System.exit(
        failure == null
            ? code
            : Failures.report(failure, verbose, new PrintWriter(System.err, true)));
  }
}
