package io.chorale.train.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.train.data.SftExample;
import io.chorale.train.model.math.SequenceBundles;
import java.io.IOException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Rows that only bring products to one of few shapes have no part in losses and gradients. */
class PaddingRowsTest {
  private final GoldenTraining golden = GoldenTraining.read();

  /** Sequences of these lengths whose rows are all trained. */
  private static PackedBatch batch(int... lengths) {
    int[] starts = new int[lengths.length + 1];
    for (int s = 0; s < lengths.length; s++) {
      starts[s + 1] = starts[s] + lengths[s];
    }
    int rows = starts[lengths.length];
    int[] ids = new int[rows];
    int[] targets = new int[rows];
    for (int s = 0; s < lengths.length; s++) {
      for (int i = 0; i < lengths[s]; i++) {
        ids[starts[s] + i] = (i * 7 + 3 + lengths[s]) % 256;
        targets[starts[s] + i] = i + 1 < lengths[s] ? (i * 5 + 1) % 256 : SftExample.IGNORE_INDEX;
      }
    }
    return new PackedBatch(ids, targets, starts, new int[lengths.length]);
  }

  private record Outcome(double loss, Map<String, float[]> gradients) {}

  private Outcome run(String name, PackedBatch... batches) throws IOException {
    try (TrainableCausalLm model = golden.named(name).open(GoldenTraining.f32())) {
      double loss = 0;
      for (PackedBatch batch : batches) {
        loss += model.lossAndGradients(batch, 1, 0);
      }
      return new Outcome(loss, new LinkedHashMap<>(GoldenTraining.gradients(model)));
    }
  }

  /**
   * 64 rows of one length take none; 65 take some in the slice; 61 and 64 together take some in
   * attention. What a sequence without padding adds must be the same beside any of them.
   */
  @ParameterizedTest
  @ValueSource(strings = {"lora", "dora", "mistral", "embed-head", "full-qwen3"})
  void paddingChangesNeitherLossNorGradients(String name) throws IOException {
    Outcome padded = run(name, batch(64, 64, 5, 64), batch(61, 1, 64));
    Outcome whole = run(name, batch(64), batch(64), batch(64), batch(64), batch(5), batch(61));
    assertEquals(whole.loss(), padded.loss(), 1e-6 * whole.loss());
    whole
        .gradients()
        .forEach(
            (key, gradient) -> {
              double error = GoldenTraining.relative(padded.gradients().get(key), gradient);
              assertTrue(error <= 1e-5, () -> key + " is off by " + error);
            });
  }

  @Test
  void paddingRowsHaveNoTargetAndBelongToNoSequence() {
    PackedBatch.Slice slice =
        new PackedBatch.Slice(new int[] {5, 6, 7}, new int[] {6, 7, -100}, new int[] {0, 3});
    PackedBatch.Slice padded = slice.padded(64);
    assertEquals(64, padded.rows());
    assertArrayEquals(slice.starts(), padded.starts());
    assertArrayEquals(slice.trainedRows(), padded.trainedRows());
  }

  @Test
  void everyRowGoesThroughAttentionOnceBehindItsOwnSequencesEarlierRows() {
    SplittableRandom random = new SplittableRandom(3);
    for (int round = 0; round < 200; round++) {
      int[] starts = new int[1 + random.nextInt(1, 30)];
      for (int s = 1; s < starts.length; s++) {
        starts[s] = starts[s - 1] + random.nextInt(1, 300);
      }
      SequenceBundles bundles = SequenceBundles.of(starts);
      assertEquals(0, bundles.rows() % SequenceBundles.ROWS);
      int[] seen = new int[bundles.rows()];
      Set<Integer> first = new HashSet<>();
      Arrays.stream(starts).forEach(first::add);
      for (SequenceBundles.Plan plan : bundles.plans()) {
        long[] index = index(plan);
        for (int i = 0; i < index.length; i++) {
          int row = (int) index[i];
          seen[row]++;
          boolean padding = row >= bundles.used();
          boolean begins = i % plan.length() == 0;
          assertTrue(padding || (begins ? first.contains(row) : index[i - 1] == row - 1));
        }
      }
      assertTrue(IntStream.range(0, bundles.used()).allMatch(row -> seen[row] == 1));
    }
  }

  private static long[] index(SequenceBundles.Plan plan) {
    return plan.index() != null
        ? plan.index()
        : IntStream.range(0, plan.count() * plan.length())
            .mapToLong(i -> plan.start() + i)
            .toArray();
  }

  @Test
  void sequencesThatFillTheirLengthAreNotCopied() {
    SequenceBundles bundles = SequenceBundles.of(new int[] {0, 512});
    assertEquals(512, bundles.rows());
    assertNull(bundles.plans().get(0).index());
  }

  @Test
  void slicesOfAnyLengthsComeInFewShapes() {
    SplittableRandom random = new SplittableRandom(4);
    Set<Integer> rows = new HashSet<>();
    Set<String> attention = new HashSet<>();
    for (int round = 0; round < 2000; round++) {
      int[] starts = new int[8];
      for (int s = 1; s < starts.length; s++) {
        starts[s] = Math.min(TrainableCausalLm.SLICE_ROWS, starts[s - 1] + random.nextInt(8, 250));
      }
      SequenceBundles bundles = SequenceBundles.of(starts);
      rows.add(bundles.rows());
      bundles.plans().forEach(plan -> attention.add(plan.count() + "x" + plan.length()));
    }
    assertTrue(rows.size() <= 13, () -> rows.toString());
    assertTrue(attention.size() <= 30, () -> attention.toString());
  }
}
