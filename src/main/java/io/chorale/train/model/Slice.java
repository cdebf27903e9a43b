package io.chorale.train.model;

import io.chorale.train.data.SftExample;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Whole sequences of a batch.
 *
 * @param ids [rows]
 * @param targets [rows], as in {@link PackedBatch}
 * @param starts first row of each sequence, then the number of rows
 */
record Slice(int[] ids, int[] targets, int[] starts) {

  /** Cuts a batch into slices of at most so many rows; a longer sequence is one by itself. */
  static List<Slice> of(PackedBatch batch, int mostRows) {
    List<Slice> slices = new ArrayList<>();
    int[] starts = batch.starts();
    int first = 0;
    for (int s = 1; s < starts.length; s++) {
      boolean last = s == starts.length - 1;
      if (last || starts[s + 1] - starts[first] > mostRows) {
        int from = starts[first];
        int[] own = Arrays.copyOfRange(starts, first, s + 1);
        slices.add(
            new Slice(
                Arrays.copyOfRange(batch.ids(), from, starts[s]),
                Arrays.copyOfRange(batch.targets(), from, starts[s]),
                Arrays.stream(own).map(start -> start - from).toArray()));
        first = s;
      }
    }
    return slices;
  }

  /**
   * @throws IllegalArgumentException naming a token that the vocabulary does not have
   */
  static void checkTokens(PackedBatch batch, String model, int vocab) {
    for (int row = 0; row < batch.rows(); row++) {
      int target = batch.targets()[row];
      int id = batch.ids()[row];
      int bad = id < 0 || id >= vocab ? id : target;
      if (bad != SftExample.IGNORE_INDEX && (bad < 0 || bad >= vocab) || id < 0) {
        throw new IllegalArgumentException(
            "row %d of the batch has token %d, the vocabulary of '%s' has 0..%d; was it encoded with another tokenizer?"
                .formatted(row, bad, model, vocab - 1));
      }
    }
  }

  int rows() {
    return ids.length;
  }

  /** Of each row in its sequence, from 0. */
  long[] positions() {
    long[] positions = new long[ids.length];
    for (int s = 0; s + 1 < starts.length; s++) {
      for (int row = starts[s]; row < starts[s + 1]; row++) {
        positions[row] = row - starts[s];
      }
    }
    return positions;
  }

  /** Rows of the longest sequence. */
  int longest() {
    return IntStream.range(1, starts.length).map(s -> starts[s] - starts[s - 1]).max().orElse(0);
  }

  /** Rows that the loss is taken over. */
  int[] trainedRows() {
    return IntStream.range(0, targets.length)
        .filter(row -> targets[row] != SftExample.IGNORE_INDEX)
        .toArray();
  }

  long[] targetsOf(int[] rows) {
    return Arrays.stream(rows).mapToLong(row -> targets[row]).toArray();
  }
}
