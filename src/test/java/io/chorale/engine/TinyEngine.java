package io.chorale.engine;

import io.chorale.format.TensorData;
import io.chorale.kernel.Ops;
import io.chorale.kernel.TorchOps;
import io.chorale.kernel.TorchOps.WeightForm;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraSource;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.LoraWeights;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.CausalLm;
import io.chorale.model.ModelSpec;
import io.chorale.model.Quantization;
import io.chorale.model.StepLimits;
import io.chorale.model.WeightLoader;
import io.chorale.quant.TensorType;
import io.chorale.sched.SamplingParams;
import io.chorale.sched.SchedulerOptions;
import io.chorale.tensor.TorchDevice;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;

/** A real engine over the tiny golden llama, with random adapters 0..7 of ranks 1..8. */
public final class TinyEngine implements AutoCloseable {
  private static final long CACHE_BYTES = 64 << 10;

  public final EngineLoop loop;

  public TinyEngine(int blocks, int maxLoras, int maxQueued) {
    this(blocks, maxLoras, maxQueued, new SeededAdapters());
  }

  public TinyEngine(int blocks, int maxLoras, int maxQueued, LoraSource adapters) {
    this(
        new TorchOps(TorchDevice.CPU, WeightForm.DENSE),
        blocks,
        maxLoras,
        adapters,
        new EngineLoop.Options(maxQueued, 2000));
  }

  /** With other operations than libtorch's, or with speculation. */
  TinyEngine(
      Ops ops, int blocks, int maxLoras, LoraSource adapters, EngineLoop.Options engineOptions) {
    CausalLm model;
    try (BaseModelFiles base = open()) {
      model = new WeightLoader(base, ops).load(new StepLimits(32, 8), layer -> {});
    }
    SchedulerOptions options = new SchedulerOptions(32, 16, 4, blocks, maxLoras, 200, 8, true);
    this.loop =
        new EngineLoop(
            options,
            new ModelRunner(model, adapters, blocks, 4, maxLoras, CACHE_BYTES),
            engineOptions);
  }

  private static BaseModelFiles open() {
    try {
      return BaseModelFiles.open(
          Path.of("src/test/resources/golden/models/llama"), Quantization.NONE);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static GenerationRequest greedy(int[] prompt, int adapterKey, int tokens, TokenSink sink) {
    return new GenerationRequest(prompt, adapterKey, SamplingParams.greedy(tokens, Set.of()), sink);
  }

  /** The tokens of one request that runs alone. */
  public List<Integer> alone(int[] prompt, int adapterKey, int tokens) throws EngineBusyException {
    RecordingSink sink = new RecordingSink();
    loop.submit(List.of(greedy(prompt, adapterKey, tokens, sink)));
    sink.await();
    return sink.tokens;
  }

  static int[] prompt(int seed, int length) {
    return new Random(seed).ints(length, 0, 256).toArray();
  }

  @Override
  public void close() {
    loop.close();
  }

  /** Adapter {@code key} has rank key + 1 on every linear and large enough factors to be seen. */
  static final class SeededAdapters implements LoraSource {
    private final Map<Integer, LoraWeights> made = new HashMap<>();
    private final ModelSpec spec;

    SeededAdapters() {
      try (BaseModelFiles base = open()) {
        spec = base.spec();
      }
    }

    @Override
    public LoraWeights weights(int adapterKey) {
      return made.computeIfAbsent(adapterKey, this::make);
    }

    private LoraWeights make(int key) {
      Random random = new Random(key);
      int rank = key + 1;
      Map<ModuleId, LoraModule> modules = new HashMap<>();
      for (int layer = 0; layer < spec.layers(); layer++) {
        for (LoraTarget target : LoraTarget.values()) {
          if (target.perLayer()) {
            TensorData a = gaussian(random, rank, in(target), 0.125);
            TensorData b = gaussian(random, out(target), rank, 0.3);
            modules.put(
                new ModuleId(layer, target), new LoraModule(rank, 1, a, b, null, null, null));
          }
        }
      }
      return new LoraWeights("a" + key + "@1", modules, 0);
    }

    private int in(LoraTarget target) {
      return switch (target) {
        case O_PROJ -> spec.qWidth();
        case DOWN_PROJ -> spec.intermediate();
        default -> spec.hidden();
      };
    }

    private int out(LoraTarget target) {
      return switch (target) {
        case Q_PROJ -> spec.qWidth();
        case K_PROJ, V_PROJ -> spec.kvWidth();
        case GATE_PROJ, UP_PROJ -> spec.intermediate();
        default -> spec.hidden();
      };
    }

    private static TensorData gaussian(Random random, int rows, int cols, double std) {
      ByteBuffer bytes = ByteBuffer.allocate(4 * rows * cols).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < rows * cols; i++) {
        bytes.putFloat((float) (random.nextGaussian() * std));
      }
      return new TensorData("t", TensorType.F32, new long[] {rows, cols}, bytes.flip());
    }
  }
}
