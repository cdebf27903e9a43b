package io.chorale.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.chorale.kernel.AttentionCase.Layout;
import io.chorale.quant.PackedMatrix;
import io.chorale.tensor.Scope;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What every {@link Ops} must compute, against {@link Reference}, over awkward sizes, weight
 * formats and the five adapter mixes of Punica (base, identical, distinct, uniform, skewed).
 */
abstract class OpsContract {
  static final int SLOTS = 6;
  static final float[] FREQUENCIES = {1f, 0.3f, 0.05f, 0.001f};

  abstract Ops ops();

  /** Largest error of exact operations, relative to the largest expected value of the row. */
  abstract double tolerance();

  /** The same for a linear; larger where inputs or factors are rounded. */
  double tolerance(Case c) {
    return tolerance();
  }

  /** The same for LoRA on an embedding. */
  double embeddingTolerance() {
    return tolerance();
  }

  /** The same for attention; larger where keys and values are rounded. */
  double attentionTolerance() {
    return tolerance();
  }

  /** Whether keys and values are kept as int8; attention is then held against rounded ones. */
  boolean int8Kv() {
    return false;
  }

  record Case(String mix, int rows, int in, int out, String format, boolean accumulate) {}

  static Stream<Case> cases() {
    return Stream.of("base", "identical", "distinct", "uniform", "skewed")
        .flatMap(
            mix ->
                Stream.of(
                    new Case(mix, 1, 64, 1, "F32", false),
                    new Case(mix, 7, 576, 193, "Q4_1", false),
                    new Case(mix, 33, 96, 64, "Q4_0", true),
                    new Case(mix, 5, 128, 66, "NF4", true),
                    new Case(mix, 6, 64, 35, "NF4_DQ", false),
                    new Case(mix, 8, 64, 40, "Q8_0", false),
                    new Case(mix, 9, 70, 3, "F16", true)));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void linearAppliesEachRowsOwnAdapter(Case c) {
    // Given
    Random random = new Random(c.hashCode());
    PackedMatrix packed = TestMatrices.random(random, c.format(), c.out(), c.in());
    double[][] w = Reference.doubles(packed);
    float[] bias = c.out() % 2 == 1 ? Reference.gaussian(random, c.out(), 1) : null;
    float[] x = Reference.gaussian(random, c.rows() * c.in(), 1);
    x[0] = 40; // an outlier activation
    float[] before = Reference.gaussian(random, c.rows() * c.out(), 1);
    int[] slots = mix(random, c.mix(), c.rows());
    LoraFactors[] adapters = adapters(random, c.in(), c.out());
    float[] y = new float[c.rows() * c.out()];
    // When
    try (Scope scope = Scope.open()) {
      Weight weight = ops().weight(packed);
      LoraTable table = ops().loraTable(SLOTS, new Weight[] {weight, weight}, 1);
      for (int slot = 0; slot < SLOTS; slot++) {
        if (adapters[slot] != null) {
          seat(table, slot, adapters[slot]);
        }
      }
      Linear linear = new Linear(weight, bias == null ? null : ops().vector(bias), 0);
      Matrix out = upload(before, c.rows(), c.out());
      try (StepRows rows = ops().begin(decodeRows(slots), FREQUENCIES, table)) {
        ops().linear(upload(x, c.rows(), c.in()), linear, rows.all(), c.accumulate(), out);
      }
      ops().read(out, y);
      table.close();
    }
    // Then
    for (int row = 0; row < c.rows(); row++) {
      LoraFactors lora = slots[row] < 0 ? null : adapters[slots[row]];
      double[] want = Reference.linear(Reference.row(x, row, c.in()), w, lora, bias);
      for (int o = 0; c.accumulate() && o < want.length; o++) {
        want[o] += before[row * c.out() + o];
      }
      assertRow(want, y, row, tolerance(c), "row " + row + " slot " + slots[row]);
    }
  }

  /** Prepares an adapter that changes module 0 and seats it. */
  static void seat(LoraTable table, int slot, LoraFactors factors) {
    try (LoraTable.Preparation preparation = table.prepare()) {
      preparation.add(0, factors);
      table.seat(slot, preparation.finish());
    }
  }

  @Test
  void embeddingAddsTheRowsOwnFactorsOrTakesTheReplacement() {
    // Given
    Random random = new Random(5);
    int vocab = 50;
    int hidden = 64;
    PackedMatrix packed = TestMatrices.random(random, "Q8_0", vocab, hidden);
    PackedMatrix replacement = TestMatrices.random(random, "F32", vocab, hidden);
    LoraFactors low =
        new LoraFactors(
            3,
            0.5f,
            Reference.gaussian(random, 3 * vocab, 1),
            Reference.gaussian(random, hidden * 3, 1),
            null,
            null,
            null);
    LoraFactors whole = new LoraFactors(0, 1, null, null, null, null, replacement);
    float[] magnitude = Reference.gaussian(random, hidden, 1);
    LoraFactors dora = new LoraFactors(3, 0.5f, low.a(), low.b(), null, magnitude, null);
    int[] slots = {-1, 0, 1, 0, 2};
    int[] ids = {7, 7, 7, 49, 11};
    float[] y = new float[ids.length * hidden];
    // When
    try (Scope scope = Scope.open()) {
      Weight weight = ops().weight(packed);
      LoraTable table = ops().loraTable(3, new Weight[] {weight}, 0);
      seat(table, 0, low);
      seat(table, 1, whole);
      seat(table, 2, dora);
      ForwardInputs plain = decodeRows(slots);
      System.arraycopy(ids, 0, plain.tokenIds(), 0, ids.length);
      Matrix out = ops().matrix(ids.length, hidden);
      try (StepRows rows = ops().begin(plain, FREQUENCIES, table)) {
        ops().embed(new Linear(weight, null, 0), rows, out);
      }
      ops().read(out, y);
      table.close();
    }
    // Then
    double[][] base = Reference.doubles(packed);
    double[][] other = Reference.doubles(replacement);
    for (int row = 0; row < ids.length; row++) {
      double[] want = (slots[row] == 1 ? other : base)[ids[row]].clone();
      for (int i = 0; (slots[row] == 0 || slots[row] == 2) && i < hidden; i++) {
        want[i] = Reference.adaptedEmbedding(base, ids[row], i, slots[row] == 2 ? dora : low);
      }
      assertRow(want, y, row, embeddingTolerance(), "row " + row);
    }
  }

  @Test
  void rmsNormHoldsForTinyAndHugeRowsAndMayWorkInPlace() {
    // Given
    Random random = new Random(1);
    int cols = 67;
    float[] x = Reference.gaussian(random, 3 * cols, 1);
    for (int i = 0; i < cols; i++) {
      x[cols + i] *= 1e-6f;
      x[2 * cols + i] *= 1e6f;
    }
    float[] weight = Reference.gaussian(random, cols, 1);
    float[] y = new float[x.length];
    // When
    try (Scope scope = Scope.open()) {
      Matrix matrix = upload(x, 3, cols);
      ops().rmsNorm(matrix, ops().vector(weight), 1e-5f, matrix);
      ops().read(matrix, y);
    }
    // Then
    for (int row = 0; row < 3; row++) {
      double[] want = Reference.row(x, row, cols);
      double mean = Arrays.stream(want).map(v -> v * v).sum() / cols;
      for (int i = 0; i < cols; i++) {
        want[i] *= weight[i] / Math.sqrt(mean + 1e-5f);
      }
      assertRow(want, y, row, tolerance(), "row " + row);
    }
  }

  @Test
  void siluMulIsExactFarFromZeroToo() {
    // Given
    float[] gate = {-90, -20, -1, 0, 1e-3f, 1, 20, 90};
    float[] up = {1, 2, 3, 4, 5, 6, 7, 8};
    float[] y = new float[8];
    // When
    try (Scope scope = Scope.open()) {
      Matrix matrix = upload(gate, 2, 4);
      ops().siluMul(matrix, upload(up, 2, 4));
      ops().read(matrix, y);
    }
    // Then
    for (int i = 0; i < 8; i++) {
      double want = gate[i] / (1 + Math.exp(-gate[i])) * up[i];
      assertEquals(want, y[i], tolerance() * Math.max(1, Math.abs(want)), "element " + i);
    }
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void attentionMixesChunksAndDecodeRowsOverScatteredBlocks(AttentionShape shape) {
    followsTheFormula(new AttentionCase(shape, FREQUENCIES, int8Kv(), Layout.SMALL));
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void attentionMixesChunksAndDecodeRowsOverPages(AttentionShape shape) {
    followsTheFormula(new AttentionCase(shape, FREQUENCIES, int8Kv(), Layout.PAGES));
  }

  private void followsTheFormula(AttentionCase attention) {
    // When: positions are fed in uneven chunks, two sequences interleaved in each step
    float[][] got = attention.run(ops());
    // Then
    for (int step = 0; step < got.length; step++) {
      double[][] want = attention.expected(step);
      for (int row = 0; row < want.length; row++) {
        assertRow(want[row], got[step], row, attentionTolerance(), "step " + step + " row " + row);
      }
    }
  }

  static Stream<AttentionShape> shapes() {
    return Stream.of(
        new AttentionShape(1, 1, 8, 0),
        new AttentionShape(9, 3, 8, 0),
        new AttentionShape(4, 4, 8, 0),
        new AttentionShape(6, 1, 8, 70),
        new AttentionShape(4, 2, 8, 5));
  }

  private static void assertRow(
      double[] want, float[] got, int row, double tolerance, String what) {
    double scale = Arrays.stream(want).map(Math::abs).max().orElse(1);
    for (int i = 0; i < want.length; i++) {
      assertEquals(
          want[i],
          got[row * want.length + i],
          tolerance * Math.max(1e-3, scale),
          what + " column " + i);
    }
  }

  private Matrix upload(float[] values, int rows, int cols) {
    return TestMatrices.upload(ops(), values, rows, cols);
  }

  /** One row per slot, each its own sequence at position 0. */
  static ForwardInputs decodeRows(int[] slots) {
    int n = slots.length;
    int[][] tables = new int[n][];
    int[] first = new int[n];
    int[] one = new int[n];
    int[] all = new int[n];
    for (int i = 0; i < n; i++) {
      tables[i] = new int[] {i};
      first[i] = i;
      one[i] = 1;
      all[i] = i;
    }
    return new ForwardInputs(new int[n], new int[n], slots, first, one, tables, 1, all);
  }

  private static int[] mix(Random random, String mix, int rows) {
    int[] slots = new int[rows];
    for (int row = 0; row < rows; row++) {
      slots[row] =
          switch (mix) {
            case "base" -> LoraTable.NO_LORA;
            case "identical" -> 2;
            case "distinct" -> row % SLOTS;
            case "uniform" -> random.nextInt(SLOTS + 1) - 1;
            default -> random.nextInt(4) == 0 ? random.nextInt(SLOTS) : 1;
          };
    }
    return slots;
  }

  /** Ranks 1, 8, 64, DoRA, a bias on B, a whole replacement; every kind in one table. */
  static LoraFactors[] adapters(Random random, int in, int out) {
    LoraFactors[] all = new LoraFactors[SLOTS];
    int[] ranks = {1, 8, 64, 4, 3};
    for (int slot = 0; slot < ranks.length; slot++) {
      int rank = ranks[slot];
      float[] magnitude = slot == 3 ? Reference.gaussian(random, out, 1) : null;
      float[] bias = slot >= 3 ? Reference.gaussian(random, out, 1) : null;
      all[slot] =
          new LoraFactors(
              rank,
              2f / (slot + 1),
              Reference.gaussian(random, rank * in, 1 / Math.sqrt(in)),
              Reference.gaussian(random, out * rank, 0.3),
              slot == 3 ? null : bias,
              magnitude,
              null);
    }
    all[5] =
        new LoraFactors(0, 1, null, null, null, null, TestMatrices.random(random, "F32", out, in));
    return all;
  }
}
