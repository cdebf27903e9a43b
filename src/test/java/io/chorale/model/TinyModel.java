package io.chorale.model;

import io.chorale.kernel.ForwardInputs;
import io.chorale.kernel.KvPages;
import io.chorale.kernel.LoraTable;
import io.chorale.kernel.Ops;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Runs one sequence of a golden model through {@link CausalLm}, in chunks, all logits kept. */
public final class TinyModel implements AutoCloseable {
  public static final Path GOLDEN = Path.of("src/test/resources/golden");
  private static final int BLOCK = 4;
  private static final int BLOCKS = 16;

  private final CausalLm model;
  private final KvPages pages;
  private final LoraTable lora;

  public TinyModel(Path files, Quantization quantization, Ops ops) throws IOException {
    try (BaseModelFiles base = BaseModelFiles.open(files, quantization)) {
      this.model = new WeightLoader(base, ops).load(new StepLimits(64, 5), layer -> {});
    }
    this.pages = model.kvPages(BLOCK * BLOCKS);
    this.lora = model.loraTable(4);
  }

  public CausalLm model() {
    return model;
  }

  public LoraTable lora() {
    return lora;
  }

  /**
   * @param loraSlot of all rows
   * @param chunks row counts of the steps; their sum is the prompt's length
   * @return logits [position][vocab]
   */
  public List<float[]> logits(int[] ids, int loraSlot, int... chunks) {
    List<float[]> out = new ArrayList<>();
    int start = 0;
    for (int chunk : chunks) {
      model.forward(
          inputs(ids, loraSlot, start, chunk),
          lora,
          pages,
          (first, rows, logits) -> {
            int vocab = model.spec().vocab();
            for (int i = 0; i < rows; i++) {
              out.add(Arrays.copyOfRange(logits, i * vocab, (i + 1) * vocab));
            }
          });
      start += chunk;
    }
    return out;
  }

  private static ForwardInputs inputs(int[] ids, int loraSlot, int start, int count) {
    int[] table = IntStream.range(0, BLOCKS).map(i -> BLOCKS - 1 - i).toArray();
    return new ForwardInputs(
        Arrays.copyOfRange(ids, start, start + count),
        IntStream.range(start, start + count).toArray(),
        IntStream.range(0, count).map(i -> loraSlot).toArray(),
        new int[] {0},
        new int[] {count},
        new int[][] {table},
        BLOCK,
        IntStream.range(0, count).toArray());
  }

  @Override
  public void close() {
    lora.close();
    pages.close();
  }
}
