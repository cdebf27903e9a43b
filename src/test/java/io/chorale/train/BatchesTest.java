package io.chorale.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.train.data.SftExample;
import io.chorale.train.model.PackedBatch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class BatchesTest {
  private static final int NONE = SftExample.IGNORE_INDEX;

  private static List<SftExample> rows(int count) {
    Random random = new Random(3);
    return IntStream.range(0, count).mapToObj(i -> row(2 + random.nextInt(60))).toList();
  }

  private static SftExample row(int length) {
    int[] ids = IntStream.range(0, length).toArray();
    int[] labels = ids.clone();
    labels[0] = NONE;
    return new SftExample(ids, labels, length, -1);
  }

  private static List<Integer> order(Batches batches, int epoch) {
    List<Integer> rows = new ArrayList<>();
    for (int step = 0; step < batches.steps(epoch); step++) {
      for (PackedBatch batch : batches.step(epoch, step)) {
        Arrays.stream(batch.sources()).forEach(rows::add);
      }
    }
    return rows;
  }

  @Test
  void labelsMoveToTheRowWhoseLogitsTheyAreHeldAgainst() {
    // Given
    var first = new SftExample(new int[] {5, 6, 7}, new int[] {NONE, NONE, 7}, 3, -1);
    var second = new SftExample(new int[] {8, 9}, new int[] {NONE, 9}, 2, -1);
    // When
    PackedBatch batch = Batches.pack(List.of(first, second), new int[] {1, 0});
    // Then
    assertArrayEquals(new int[] {8, 9, 5, 6, 7}, batch.ids());
    assertArrayEquals(new int[] {9, NONE, NONE, 7, NONE}, batch.targets());
    assertArrayEquals(new int[] {0, 2, 5}, batch.starts());
    assertArrayEquals(new int[] {1, 0}, batch.sources());
  }

  @Test
  void everyEpochHasEveryRowOnceInAnOrderOfItsOwnThatTheSeedRepeats() {
    for (boolean packing : new boolean[] {false, true}) {
      // Given
      var shape = new Batches.Shape(4, 3, packing, 64, 7);
      List<SftExample> rows = rows(2500);
      // When
      List<Integer> first = order(new Batches(rows, shape), 0);
      List<Integer> second = order(new Batches(rows, shape), 1);
      List<Integer> again = order(new Batches(rows, shape), 0);
      List<Integer> otherSeed =
          order(new Batches(rows, new Batches.Shape(4, 3, packing, 64, 8)), 0);
      // Then
      assertEquals(IntStream.range(0, 2500).boxed().toList(), first.stream().sorted().toList());
      assertEquals(first, again);
      assertNotEquals(first, second);
      assertNotEquals(first, otherSeed);
    }
  }

  @Test
  void packedBatchesKeepTheirBoundAndAreNearlyFull() {
    // Given
    List<SftExample> rows = rows(2000);
    Batches batches = new Batches(rows, new Batches.Shape(2, 1, true, 64, 1));
    // When
    int most = 0;
    long tokens = 0;
    for (int step = 0; step < batches.steps(0); step++) {
      int had = batches.step(0, step).get(0).rows();
      most = Math.max(most, had);
      tokens += had;
    }
    // Then
    assertTrue(most <= 128, most + " tokens in a micro-batch of 2 * 64");
    assertTrue(tokens > 0.95 * 128 * batches.steps(0), "micro-batches are not full");
  }

  @Test
  void lastWindowOfAnEpochHoldsWhatIsLeft() {
    // Given
    Batches batches = new Batches(rows(11), new Batches.Shape(2, 2, false, 64, 1));
    // When
    List<PackedBatch> last = batches.step(0, 2);
    // Then
    assertEquals(3, batches.steps(0));
    assertEquals(2, last.size());
    assertEquals(1, last.get(1).sequences());
  }

  @Test
  void fractionOfAnEpochIsRoundedUpToSteps() {
    // Given
    Batches batches = new Batches(rows(10), new Batches.Shape(2, 1, false, 64, 1));
    // Then
    assertEquals(5, batches.stepsOf(1));
    assertEquals(8, batches.stepsOf(1.5));
    assertEquals(1, batches.stepsOf(0.01));
  }

  @Test
  void noRowsAreRefusedBeforeAnythingIsTrained() {
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> new Batches(List.of(), new Batches.Shape(1, 1, false, 64, 1)));
    assertTrue(e.getMessage().startsWith("no row is left to train on"), e.getMessage());
  }
}
