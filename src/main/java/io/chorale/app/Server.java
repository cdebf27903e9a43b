package io.chorale.app;

import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRegistry;
import io.chorale.app.store.BaseModelStore;
import io.chorale.app.store.Progress;
import io.chorale.engine.EngineLoop;
import io.chorale.engine.ModelRunner;
import io.chorale.kernel.Kernels;
import io.chorale.kernel.NativeOps;
import io.chorale.kernel.Ops;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.CausalLm;
import io.chorale.model.ModelSpec;
import io.chorale.model.Quantization;
import io.chorale.model.StepLimits;
import io.chorale.model.WeightLoader;
import io.chorale.sched.SchedulerOptions;
import io.chorale.sched.draft.DraftOptions;
import io.chorale.serve.ServedModel;
import io.chorale.tensor.NativeLimits;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntConsumer;
import org.jboss.logging.Logger;

/**
 * Everything behind the HTTP layer, in the order in which it starts: model files, weights, engine,
 * adapters. Built once on the main thread; closing it ends the engine thread and then frees memory.
 */
final class Server implements AutoCloseable {
  private static final Logger LOG = Logger.getLogger(Server.class);

  /** Logits are computed in bands of at most so many rows, so that scoring a prompt stays small. */
  private static final int LOGIT_ROWS = 32;

  /** How long running requests may finish at shutdown. */
  private static final long DRAIN_MS = 10_000;

  private final ServedModel model;
  private final EngineLoop engine;
  private final AdapterRegistry adapters;

  private Server(ServedModel model, EngineLoop engine, AdapterRegistry adapters) {
    this.model = model;
    this.engine = engine;
    this.adapters = adapters;
  }

  ServedModel model() {
    return model;
  }

  EngineLoop engine() {
    return engine;
  }

  AdapterRegistry adapters() {
    return adapters;
  }

  /**
   * Brings and loads the base model, starts the engine, registers the adapters. Takes seconds and
   * logs what it does.
   */
  static Server start(ServeSettings settings) throws IOException {
    NativeLimits.check();
    Path path =
        BaseModelStore.ofUser(settings.cacheDir(), System.getenv(), Progress.onStandardError())
            .bring(settings.model());
    try (BaseModelFiles files =
        BaseModelFiles.open(path, Quantization.parse(settings.quantize()))) {
      String id = settings.servedModelName().orElseGet(() -> apiName(settings.model(), path));
      BaseModel text = BaseModel.of(files);
      Ops ops = ops(settings);
      CausalLm causalLm = load(files, ops, settings);
      SchedulerOptions scheduling = scheduling(files.spec(), ops, settings);
      ServedModel served =
          new ServedModel(
              id,
              files.fingerprint().replaceFirst("^sha256:", ""),
              System.currentTimeMillis() / 1000,
              text.tokenizer(),
              text.chatPrompt(),
              files.spec().endTokenIds(),
              text.addBos(),
              text.bosTokenId(),
              scheduling.maxSequenceTokens());
      return start(settings, files, causalLm, scheduling, served);
    }
  }

  private static Server start(
      ServeSettings settings,
      BaseModelFiles files,
      CausalLm causalLm,
      SchedulerOptions scheduling,
      ServedModel served) {
    // The registry tells the engine which keys to retire; the engine asks the registry for weights.
    AtomicReference<EngineLoop> engine = new AtomicReference<>();
    AdapterRegistry adapters =
        new AdapterRegistry(
            new AdapterLoader(files.spec(), files.fingerprint(), AdapterLoader.DEFAULT_MAX_BYTES),
            served.id(),
            settings.adapterRoots(),
            settings.stateDir(),
            key -> engine.get().retire(key));
    ModelRunner runner =
        new ModelRunner(
            causalLm,
            adapters,
            scheduling.blocks(),
            scheduling.blockTokens(),
            scheduling.maxLoras(),
            settings.adapterCacheBytes());
    DraftOptions drafting = drafting(causalLm.ops(), settings);
    engine.set(
        new EngineLoop(
            scheduling,
            runner,
            new EngineLoop.Options(
                settings.maxQueued(), DRAIN_MS, drafting, settings.maxStepMs())));
    Server server = new Server(served, engine.get(), adapters);
    try {
      adapters.startup(settings.adapterRoots());
      WarmUp.run(server.engine());
    } catch (RuntimeException e) {
      server.close();
      throw e;
    }
    LOG.infof(
        "engine ready model=%s kernels=%s kv_blocks=%d block_tokens=%d max_model_tokens=%d speculative_tokens=%d",
        served.id(),
        causalLm.ops().name(),
        scheduling.blocks(),
        scheduling.blockTokens(),
        scheduling.maxSequenceTokens(),
        drafting.maxTokens());
    return server;
  }

  private static Ops ops(ServeSettings settings) {
    int threads = settings.threads().orElseGet(() -> Runtime.getRuntime().availableProcessors());
    return Kernels.choose(
        settings.kernels(), settings.device().name(), threads, settings.precision());
  }

  /**
   * Speculation by default only where a row's logits have the same bits in any batch: elsewhere a
   * guess could tip a near-tie and so change an answer.
   */
  private static DraftOptions drafting(Ops ops, ServeSettings settings) {
    int tokens = ops instanceof NativeOps ? ChoraleConfig.SPECULATIVE_TOKENS : 0;
    return new DraftOptions(
        settings.speculativeTokens().orElse(tokens), settings.speculativeNgram());
  }

  private static CausalLm load(BaseModelFiles files, Ops ops, ServeSettings settings) {
    long start = System.nanoTime();
    ModelSpec spec = files.spec();
    LOG.infof(
        "loading weights model=%s family=%s layers=%d hidden=%d vocab=%d kernels=%s",
        spec.name(), spec.family(), spec.layers(), spec.hidden(), spec.vocab(), ops.name());
    StepLimits limits =
        new StepLimits(settings.maxBatchTokens(), Math.min(settings.maxBatchTokens(), LOGIT_ROWS));
    CausalLm loaded = new WeightLoader(files, ops).load(limits, progressEveryTwoSeconds(spec));
    LOG.infof(
        "weights loaded bytes=%d took_ms=%d",
        loaded.weightBytes(), (System.nanoTime() - start) / 1_000_000);
    return loaded;
  }

  private static IntConsumer progressEveryTwoSeconds(ModelSpec spec) {
    AtomicLong last = new AtomicLong(System.nanoTime());
    return done -> {
      if (System.nanoTime() - last.get() >= 2_000_000_000L && done < spec.layers()) {
        LOG.infof("loading weights layers=%d/%d", done, spec.layers());
        last.set(System.nanoTime());
      }
    };
  }

  private static SchedulerOptions scheduling(ModelSpec spec, Ops ops, ServeSettings settings) {
    long positionBytes = (long) spec.layers() * ops.kvPositionBytes(spec.kvHeads(), spec.headDim());
    long blocks = settings.kvMemoryBytes() / (positionBytes * settings.kvBlockTokens());
    if (blocks < 2) {
      throw new UsageException(
          "--kv-memory (chorale.kv-memory) is %d bytes, wanted at least two blocks of %d positions, %d bytes"
              .formatted(
                  settings.kvMemoryBytes(),
                  settings.kvBlockTokens(),
                  2 * positionBytes * settings.kvBlockTokens()));
    }
    int most = settings.maxModelTokens().orElse(spec.maxPositions());
    if (most > spec.maxPositions()) {
      throw new UsageException(
          "--max-model-tokens (chorale.max-model-tokens) is %d, model '%s' has %d positions"
              .formatted(most, spec.name(), spec.maxPositions()));
    }
    return new SchedulerOptions(
        settings.maxBatchTokens(),
        settings.maxRunning(),
        settings.kvBlockTokens(),
        (int) Math.min(blocks, Integer.MAX_VALUE / settings.kvBlockTokens()),
        settings.maxLoras(),
        most,
        settings.maxBatchTokens(),
        true);
  }

  /**
   * What people call the model: the hub id, or the file's or folder's name without its form. The
   * name inside a GGUF file is often that of a training run.
   */
  static String apiName(Optional<String> model, Path path) {
    boolean isHubId = model.isPresent() && !Files.exists(Path.of(model.get()));
    String name = isHubId ? model.get() : path.getFileName().toString();
    return name.replaceFirst("\\.gguf$", "")
        .replaceFirst("(?i)[.-](I?Q\\d\\w*|BF16|F16|F32)$", "")
        .replaceAll("[^A-Za-z0-9._/-]+", "-");
  }

  @Override
  public void close() {
    engine.close();
  }
}
