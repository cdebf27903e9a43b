package io.chorale.app;

import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import io.smallrye.config.WithName;
import java.util.List;
import java.util.Optional;

/**
 * Every setting of {@code serve}, once: property {@code chorale.x-y}, environment variable {@code
 * CHORALE_X_Y} and option {@code --x-y} are the same thing (option before environment before file).
 * The constants are the only place where a default is written; {@link ServeSettings} checks the
 * bounds. Meanings and bounds: docs/operations.md.
 */
@ConfigMapping(prefix = "chorale")
public interface ChoraleConfig {
  String HOST = "127.0.0.1";
  String PORT = "8000";
  String DEVICE = "cpu";
  String KERNELS = "auto";
  String QUANTIZE = "none";
  String ADAPTER_ROOT = "adapters";
  String MAX_LORAS = "16";
  String MAX_BATCH_TOKENS = "512";
  String MAX_RUNNING = "64";
  String MAX_QUEUED = "256";
  String KV_MEMORY = "1GiB";
  String KV_BLOCK_TOKENS = "16";
  String ADAPTER_CACHE = "256MiB";
  String MAX_STEP_MS = "100";
  String KV_CACHE = "f16";
  String NF4 = "exact";
  int SPECULATIVE_TOKENS = 8;
  String SPECULATIVE_NGRAM = "2";

  /** GGUF file, Hugging Face folder or hub id; empty is the default model. */
  Optional<String> model();

  /** The base model's name in the API; empty is the name in the model's own files. */
  Optional<String> servedModelName();

  @WithDefault(HOST)
  String host();

  @WithDefault(PORT)
  int port();

  @WithDefault(DEVICE)
  String device();

  @WithDefault(KERNELS)
  String kernels();

  @WithDefault(QUANTIZE)
  String quantize();

  /** Folders whose sub-folders are adapters; also the jail of adapter paths. */
  @WithName("adapter-root")
  Optional<List<String>> adapterRoots();

  Optional<String> apiKeyFile();

  Optional<String> adminKeyFile();

  @WithDefault(MAX_LORAS)
  int maxLoras();

  @WithDefault(MAX_BATCH_TOKENS)
  int maxBatchTokens();

  @WithDefault(MAX_RUNNING)
  int maxRunning();

  @WithDefault(MAX_QUEUED)
  int maxQueued();

  /** Prompt plus completion; empty is the model's own limit. */
  Optional<Integer> maxModelTokens();

  /** With its unit, such as {@code 512MiB}. */
  @WithDefault(KV_MEMORY)
  String kvMemory();

  @WithDefault(NF4)
  String nf4();

  @WithDefault(KV_CACHE)
  String kvCache();

  @WithDefault(KV_BLOCK_TOKENS)
  int kvBlockTokens();

  /** Prepared adapters without a loraSlot, with its unit. */
  @WithDefault(ADAPTER_CACHE)
  String adapterCache();

  /** How long a step may take while answers are being generated; 0 is no limit. */
  @WithDefault(MAX_STEP_MS)
  int maxStepMs();

  /** Next tokens guessed at most; empty is the default, or 0 where it could change an answer. */
  Optional<Integer> speculativeTokens();

  /** Last tokens that must have occurred before for a guess. */
  @WithDefault(SPECULATIVE_NGRAM)
  int speculativeNgram();

  /** Compute threads; empty is one per processor. */
  Optional<Integer> threads();

  /** Where registered adapters are remembered; empty is {@code .chorale} in the first root. */
  Optional<String> stateDir();

  /** Where downloaded models lie; empty is the user's cache folder. */
  Optional<String> cache();
}
