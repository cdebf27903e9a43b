package io.chorale.kernel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.chorale.kernel.AttentionCase.Layout;
import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.kernel.Precision.KvCache;
import io.chorale.kernel.Precision.Nf4;
import io.chorale.quant.PackedMatrix;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A row's bits depend on nothing but the row, for each instruction set. */
@ParameterizedClass(allowZeroInvocations = true)
@MethodSource("sets")
class NativeInvarianceTest {
  private static final int IN = 128;
  private static final int OUT = 67;
  private static final int ROWS = 33;

  private final InstructionSet set;

  NativeInvarianceTest(InstructionSet set) {
    this.set = set;
  }

  static List<InstructionSet> sets() {
    return NativeLibrary.supported();
  }

  @ParameterizedTest
  @ValueSource(strings = {"Q4_1", "Q8_0", "NF4", "NF4 fast", "F16", "F32"})
  void linearRowHasTheSameBitsAloneAndInAnyBatchBesideAnyAdapters(String format) {
    // Given
    Random random = new Random(9);
    PackedMatrix packed = TestMatrices.random(random, format.split(" ")[0], OUT, IN);
    Precision precision =
        format.endsWith("fast") ? new Precision(KvCache.F16, Nf4.FAST) : Precision.DEFAULT;
    LoraFactors[] adapters = OpsContract.adapters(random, IN, OUT);
    float[] x = Reference.gaussian(random, ROWS * IN, 1);
    int[] slots = random.ints(ROWS, -1, OpsContract.SLOTS).toArray();
    float[][] alone = new float[ROWS][];
    try (NativeOps ops = new NativeOps(set, 1, precision)) {
      for (int row = 0; row < ROWS; row++) {
        float[] own = Arrays.copyOfRange(x, row * IN, (row + 1) * IN);
        alone[row] = linear(ops, packed, adapters, own, slots[row]);
      }
    }
    for (int threads = 1; threads <= 3; threads++) {
      try (NativeOps ops = new NativeOps(set, threads, precision)) {
        for (int rows : new int[] {2, 7, ROWS}) {
          for (int first = 0; first + rows <= ROWS; first += rows) {
            // When
            float[] some = Arrays.copyOfRange(x, first * IN, (first + rows) * IN);
            int[] theirs = Arrays.copyOfRange(slots, first, first + rows);
            float[] batch = linear(ops, packed, adapters, some, theirs);
            // Then
            for (int row = 0; row < rows; row++) {
              assertArrayEquals(
                  alone[first + row],
                  Arrays.copyOfRange(batch, row * OUT, (row + 1) * OUT),
                  "row %d of %d, slot %d, %d threads".formatted(row, rows, theirs[row], threads));
            }
          }
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "F16, 9, 3, 64, 0",
    "F16, 5, 1, 80, 0",
    "F16, 4, 2, 24, 70",
    "Q8, 9, 3, 64, 0",
    "Q8, 7, 1, 80, 70"
  })
  void attentionRowHasTheSameBitsAloneAndInAnyChunk(
      KvCache kvCache, int heads, int kvHeads, int headDim, int window) {
    // Given
    AttentionShape shape = new AttentionShape(heads, kvHeads, headDim, window);
    float[] frequencies = new float[headDim / 2];
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = (float) Math.pow(1e4, -2.0 * i / headDim);
    }
    boolean int8 = kvCache == KvCache.Q8;
    AttentionCase chunks = new AttentionCase(shape, frequencies, int8, Layout.PAGES);
    AttentionCase single = new AttentionCase(shape, frequencies, int8, Layout.PAGES.oneByOne());
    float[][][] alone;
    try (NativeOps ops = new NativeOps(set, 1, new Precision(kvCache, Nf4.EXACT))) {
      alone = single.byPosition(single.run(ops));
    }
    for (int threads = 1; threads <= 3; threads++) {
      try (NativeOps ops = new NativeOps(set, threads, new Precision(kvCache, Nf4.EXACT))) {
        // When
        float[][][] together = chunks.byPosition(chunks.run(ops));
        // Then
        for (int s = 0; s < 2; s++) {
          for (int i = 0; i < alone[s].length; i++) {
            assertArrayEquals(
                alone[s][i], together[s][i], "sequence %d position %d".formatted(s, i));
          }
        }
      }
    }
  }

  private static float[] linear(
      NativeOps ops, PackedMatrix packed, LoraFactors[] adapters, float[] x, int... slots) {
    Weight weight = ops.weight(packed);
    float[] y = new float[slots.length * OUT];
    try (LoraTable table = ops.loraTable(OpsContract.SLOTS, new Weight[] {weight}, -1)) {
      for (int slot = 0; slot < adapters.length; slot++) {
        OpsContract.seat(table, slot, adapters[slot]);
      }
      Matrix out = ops.matrix(slots.length, OUT);
      ForwardInputs inputs = OpsContract.decodeRows(slots);
      try (StepRows rows = ops.begin(inputs, OpsContract.FREQUENCIES, table)) {
        Matrix in = ops.matrix(slots.length, IN, x);
        ops.linear(in, new Linear(weight, null, 0), rows.all(), false, out);
      }
      ops.read(out, y);
    }
    return y;
  }
}
