package io.chorale.app;

import io.chorale.kernel.Precision;
import io.chorale.kernel.Precision.KvCache;
import io.chorale.kernel.Precision.Nf4;
import io.chorale.sched.draft.DraftOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The settings of one server, checked whole: whoever holds this record need not check again.
 *
 * @param model GGUF file, Hugging Face folder or hub id; empty is the default model
 * @param servedModelName the base model's name in the API; empty is its files' own name
 * @param kernels auto, native or torch: what computes
 * @param quantize nf4, nf4-dq, q4, q8 or none: what full-precision linears become at load
 * @param adapterRoots existing folders; empty if none was named and the default does not exist
 * @param maxLoras adapters in one batch, each in a loraSlot
 * @param maxBatchTokens rows of one step, prefill and decode together
 * @param maxRunning sequences that hold KV blocks
 * @param maxQueued sequences that wait; one more is answered with 429
 * @param maxModelTokens prompt plus completion; empty is the model's own limit
 * @param kvMemoryBytes of the paged KV cache
 * @param precision how keys and values are kept and NF4 weights multiplied
 * @param kvBlockTokens positions per KV block
 * @param adapterCacheBytes of prepared adapters that have no loraSlot
 * @param maxStepMs how long a step with decode rows may take; 0 is no limit
 * @param speculativeTokens next tokens guessed at most; empty is 8 with the own kernels, else 0
 * @param speculativeNgram last tokens that must have occurred before for a guess
 * @param threads compute threads; empty is one per processor
 * @param cacheDir where downloaded models lie; empty is the user's cache folder
 * @param stateDir where registered adapters are remembered
 */
record ServeSettings(
    Optional<String> model,
    Optional<String> servedModelName,
    String host,
    int port,
    Device device,
    String kernels,
    String quantize,
    List<Path> adapterRoots,
    Optional<Path> apiKeyFile,
    Optional<Path> adminKeyFile,
    int maxLoras,
    int maxBatchTokens,
    int maxRunning,
    int maxQueued,
    OptionalInt maxModelTokens,
    long kvMemoryBytes,
    Precision precision,
    int kvBlockTokens,
    long adapterCacheBytes,
    int maxStepMs,
    OptionalInt speculativeTokens,
    int speculativeNgram,
    OptionalInt threads,
    Optional<Path> cacheDir,
    Path stateDir) {

  /** Where the model is computed. */
  enum Device {
    CPU,
    CUDA
  }

  static final List<String> KERNELS = List.of("auto", "native", "torch");
  static final List<String> QUANTIZATIONS = List.of("nf4", "nf4-dq", "q4", "q8", "none");
  private static final long MIB = 1L << 20;

  ServeSettings {
    within("port", port, 0, 65535); // 0: any free port
    within("max-loras", maxLoras, 1, 1024);
    within("max-batch-tokens", maxBatchTokens, 1, 65536);
    within("max-running", maxRunning, 1, 4096);
    within("max-queued", maxQueued, 1, 1_000_000);
    within("kv-block-tokens", kvBlockTokens, 1, 256);
    within("max-step-ms", maxStepMs, 0, 60_000);
    maxModelTokens.ifPresent(n -> within("max-model-tokens", n, 1, 1 << 24));
    speculativeTokens.ifPresent(n -> within("speculative-tokens", n, 0, DraftOptions.MAX_TOKENS));
    within("speculative-ngram", speculativeNgram, 1, DraftOptions.MAX_MATCH);
    threads.ifPresent(n -> within("threads", n, 1, 1024));
    if (kvMemoryBytes < MIB || kvMemoryBytes > 1L << 42) {
      throw wrong("kv-memory", kvMemoryBytes + " bytes", "1MiB to 4TiB");
    }
    if (adapterCacheBytes < 0 || adapterCacheBytes > 1L << 42) {
      throw wrong("adapter-cache", adapterCacheBytes + " bytes", "0B to 4TiB");
    }
    if (maxRunning > maxBatchTokens) {
      throw wrong(
          "max-running",
          maxRunning,
          "at most max-batch-tokens (%d), since every running sequence takes a row of a step"
              .formatted(maxBatchTokens));
    }
    if (host.isBlank()) {
      throw wrong("host", "''", "an address to listen on, such as 127.0.0.1 or 0.0.0.0");
    }
    if (!KERNELS.contains(kernels)) {
      throw wrong("kernels", "'" + kernels + "'", String.join(", ", KERNELS));
    }
    if (!QUANTIZATIONS.contains(quantize)) {
      throw wrong("quantize", "'" + quantize + "'", String.join(", ", QUANTIZATIONS));
    }
    servedModelName.ifPresent(ServeSettings::checkName);
    adapterRoots = List.copyOf(adapterRoots);
  }

  /**
   * Reads and checks the configuration; looks at the disk only for adapter roots and key files.
   *
   * @throws UsageException naming the setting, what it had and what was wanted
   */
  static ServeSettings of(ChoraleConfig config) {
    return new ServeSettings(
        config.model().filter(s -> !s.isBlank()),
        config.servedModelName().filter(s -> !s.isBlank()),
        config.host(),
        config.port(),
        oneOf("device", Device.values(), config.device()),
        config.kernels().toLowerCase(Locale.ROOT),
        config.quantize().toLowerCase(Locale.ROOT),
        adapterRoots(config.adapterRoots()),
        file("api-key-file", config.apiKeyFile()),
        file("admin-key-file", config.adminKeyFile()),
        config.maxLoras(),
        config.maxBatchTokens(),
        config.maxRunning(),
        config.maxQueued(),
        optional(config.maxModelTokens()),
        size("kv-memory", config.kvMemory()),
        new Precision(
            oneOf("kv-cache", KvCache.values(), config.kvCache()),
            oneOf("nf4", Nf4.values(), config.nf4())),
        config.kvBlockTokens(),
        size("adapter-cache", config.adapterCache()),
        config.maxStepMs(),
        optional(config.speculativeTokens()),
        config.speculativeNgram(),
        optional(config.threads()),
        config.cache().filter(s -> !s.isBlank()).map(Path::of),
        stateDir(config));
  }

  /** Beside the adapters unless named, so that a copied folder takes its registrations along. */
  private static Path stateDir(ChoraleConfig config) {
    return config
        .stateDir()
        .filter(s -> !s.isBlank())
        .map(Path::of)
        .orElseGet(
            () -> {
              List<Path> roots = adapterRoots(config.adapterRoots());
              return (roots.isEmpty() ? Path.of(ChoraleConfig.ADAPTER_ROOT) : roots.get(0))
                  .resolve(".chorale");
            })
        .toAbsolutePath()
        .normalize();
  }

  private static <E extends Enum<E>> E oneOf(String setting, E[] values, String text) {
    for (E value : values) {
      if (value.name().equalsIgnoreCase(text)) {
        return value;
      }
    }
    throw wrong(
        setting,
        "'" + text + "'",
        Stream.of(values)
            .map(value -> value.name().toLowerCase(Locale.ROOT))
            .collect(Collectors.joining(" or ")));
  }

  private static List<Path> adapterRoots(Optional<List<String>> given) {
    if (given.isEmpty() || given.get().isEmpty()) {
      // The launcher says where the repository is, for a start from another folder.
      return Stream.of("", System.getProperty("launcher.home", ""))
          .map(folder -> Path.of(folder, ChoraleConfig.ADAPTER_ROOT).toAbsolutePath().normalize())
          .filter(Files::isDirectory)
          .limit(1)
          .toList();
    }
    return given.get().stream()
        .map(Path::of)
        .peek(
            root -> {
              if (!Files.isDirectory(root)) {
                throw wrong("adapter-root", "'" + root + "'", "an existing folder of adapters");
              }
            })
        .map(root -> root.toAbsolutePath().normalize())
        .distinct()
        .toList();
  }

  private static Optional<Path> file(String setting, Optional<String> text) {
    return text.filter(s -> !s.isBlank())
        .map(Path::of)
        .map(
            path -> {
              if (!Files.isReadable(path) || Files.isDirectory(path)) {
                throw wrong(setting, "'" + path + "'", "a readable file with one key per line");
              }
              return path;
            });
  }

  private static long size(String setting, String text) {
    try {
      return ByteSize.parse(text);
    } catch (IllegalArgumentException e) {
      throw new UsageException(setting(setting) + ": " + e.getMessage());
    }
  }

  private static OptionalInt optional(Optional<Integer> value) {
    return value.map(OptionalInt::of).orElse(OptionalInt.empty());
  }

  private static void checkName(String name) {
    if (!name.matches("[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")) {
      throw wrong(
          "served-model-name",
          "'" + name + "'",
          "up to 128 letters, digits, and . _ : / - after the first");
    }
  }

  private static void within(String setting, long value, long low, long high) {
    if (value < low || value > high) {
      throw wrong(setting, value, low + " to " + high);
    }
  }

  private static UsageException wrong(String setting, Object had, String wanted) {
    return new UsageException("%s is %s, wanted %s".formatted(setting(setting), had, wanted));
  }

  /** How messages name a setting: the option, and the property that may have set it. */
  private static String setting(String name) {
    return "--%s (chorale.%s)".formatted(name, name);
  }
}
