package io.chorale.model;

import io.chorale.kernel.ForwardInputs;
import io.chorale.kernel.Kernels;
import io.chorale.kernel.KvPages;
import io.chorale.kernel.LoraFactors;
import io.chorale.kernel.LoraTable;
import io.chorale.kernel.Ops;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import java.nio.file.Path;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * Times whole steps of a real model, best of some repetitions: {@code StepTimes <model> <kernels>
 * <threads>}. A program, not a test.
 */
final class StepTimes {
  private static final int BLOCK = 16;
  private static final int CONTEXT = 1024;
  private static final int SLOTS = 8;

  private final CausalLm model;
  private final KvPages pages;
  private final LoraTable lora;

  private StepTimes(CausalLm model) {
    this.model = model;
    this.pages = model.kvPages(32 * CONTEXT);
    this.lora = model.loraTable(SLOTS);
  }

  public static void main(String[] args) throws Exception {
    Ops ops = Kernels.choose(args[1], "cpu", Integer.parseInt(args[2]));
    try (Ops.ThreadBinding binding = ops.bindThread();
        BaseModelFiles files = BaseModelFiles.open(Path.of(args[0]), Quantization.NONE)) {
      long start = System.nanoTime();
      CausalLm model = new WeightLoader(files, ops).load(new StepLimits(512, 32), layer -> {});
      System.out.printf(
          "%s load %d ms, %d MB%n",
          ops.name(), (System.nanoTime() - start) / 1_000_000, model.weightBytes() >> 20);
      StepTimes times = new StepTimes(model);
      times.fillAdapters();
      times.prefill(512, false);
      for (boolean adapters : new boolean[] {false, true}) {
        for (int rows : new int[] {1, 8, 16, 32}) {
          times.decode(rows, 64, adapters);
        }
        times.decode(1, 512, adapters);
        times.decode(16, 512, adapters);
        for (int chunk : new int[] {16, 32, 64, 128, 256, 512}) {
          times.prefill(chunk, adapters);
        }
      }
    }
  }

  private void fillAdapters() {
    ModelSpec spec = model.spec();
    Random random = new Random(1);
    long start = System.nanoTime();
    for (int slot = 0; slot < SLOTS; slot++) {
      try (LoraTable.Preparation preparation = lora.prepare()) {
        for (int layer = 0; layer < spec.layers(); layer++) {
          for (LoraTarget target : LoraTarget.values()) {
            if (target.perLayer()) {
              int module = new ModuleId(layer, target).index(spec.layers());
              preparation.add(module, factors(random, in(target), out(target)));
            }
          }
        }
        lora.seat(slot, preparation.finish());
      }
    }
    System.out.printf(
        "%d adapters %d MB, %d ms each%n",
        SLOTS, lora.bytes() >> 20, (System.nanoTime() - start) / 1_000_000 / SLOTS);
  }

  private int in(LoraTarget target) {
    return target == LoraTarget.DOWN_PROJ ? model.spec().intermediate() : model.spec().hidden();
  }

  private int out(LoraTarget target) {
    return switch (target) {
      case K_PROJ, V_PROJ -> model.spec().kvWidth();
      case GATE_PROJ, UP_PROJ -> model.spec().intermediate();
      default -> model.spec().hidden();
    };
  }

  private static LoraFactors factors(Random random, int in, int out) {
    float[] a = new float[16 * in];
    float[] b = new float[out * 16];
    for (int i = 0; i < a.length; i++) {
      a[i] = random.nextFloat() * 0.02f;
    }
    for (int i = 0; i < b.length; i++) {
      b[i] = random.nextFloat() * 0.002f;
    }
    return new LoraFactors(16, 1, a, b, null, null, null);
  }

  private void decode(int rows, int context, boolean adapters) {
    int[] one = IntStream.range(0, rows).map(i -> 1).toArray();
    int[] positions = IntStream.range(0, rows).map(i -> context - 1).toArray();
    int[] first = IntStream.range(0, rows).toArray();
    long ns = best(inputs(positions, first, one, first, adapters), rows > 8 ? 30 : 60);
    System.out.printf(
        "decode %2d rows, context %3d%s: %.2f ms, %.0f tokens/s%n",
        rows, context, adapters ? ", adapters" : "", ns / 1e6, rows * 1e9 / ns);
  }

  private void prefill(int tokens, boolean adapters) {
    int[] positions = IntStream.range(0, tokens).toArray();
    ForwardInputs inputs =
        inputs(positions, new int[1], new int[] {tokens}, new int[] {tokens - 1}, adapters);
    long ns = best(inputs, 8);
    System.out.printf(
        "prefill %d%s: %.1f ms, %.0f tokens/s%n",
        tokens, adapters ? ", adapter" : "", ns / 1e6, tokens * 1e9 / ns);
  }

  private static ForwardInputs inputs(
      int[] positions, int[] first, int[] count, int[] logits, boolean adapters) {
    int blocks = CONTEXT / BLOCK;
    int[][] tables = new int[first.length][];
    int[] slots = new int[positions.length];
    for (int s = 0; s < first.length; s++) {
      int base = s * blocks;
      tables[s] = IntStream.range(0, blocks).map(i -> base + i).toArray();
      for (int i = 0; i < count[s]; i++) {
        slots[first[s] + i] = adapters ? s % SLOTS : LoraTable.NO_LORA;
      }
    }
    int[] ids = IntStream.range(0, positions.length).map(i -> 1000 + i * 7).toArray();
    return new ForwardInputs(ids, positions, slots, first, count, tables, BLOCK, logits);
  }

  private long best(ForwardInputs inputs, int times) {
    long best = Long.MAX_VALUE;
    for (int i = 0; i < times; i++) {
      long start = System.nanoTime();
      model.forward(inputs, lora, pages, (firstRow, rows, logits) -> {});
      best = Math.min(best, System.nanoTime() - start);
    }
    return best;
  }
}
