package io.chorale.train.model;

import io.chorale.train.data.SftExample;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * One micro-batch: whole sequences laid end to end, without padding. A token attends to earlier
 * tokens of its own sequence only. Row {@code i}'s logits are held against {@code targets[i]}, so
 * labels are shifted already.
 *
 * @param ids [rows]
 * @param targets [rows], the next token where the loss is taken, else {@link
 *     SftExample#IGNORE_INDEX}; a sequence's last row has IGNORE_INDEX
 * @param starts first row of each sequence, then the number of rows; positions count from there
 * @param sources index of each sequence in the data set, for errors
 */
public record PackedBatch(int[] ids, int[] targets, int[] starts, int[] sources) {
  public PackedBatch {
    if (targets.length != ids.length
        || starts.length != sources.length + 1
        || starts[0] != 0
        || starts[starts.length - 1] != ids.length) {
      throw new IllegalArgumentException(
          "%d ids, %d targets, %d sequences with %d starts do not fit together"
              .formatted(ids.length, targets.length, sources.length, starts.length));
    }
  }

  public int rows() {
    return ids.length;
  }

  public int sequences() {
    return sources.length;
  }

  /** Rows that the loss is taken over. */
  public int trainedTokens() {
    int trained = 0;
    for (int target : targets) {
      trained += target == SftExample.IGNORE_INDEX ? 0 : 1;
    }
    return trained;
  }

  /**
   * Whole sequences of a batch, perhaps with padding rows after them.
   *
   * @param ids [rows]
   * @param targets [rows], as in {@link PackedBatch}
   * @param starts first row of each sequence, then the number of their rows
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

    /**
     * Lengthened by rows that belong to no sequence and have no target.
     *
     * @param rows wanted
     */
    Slice padded(int rows) {
      int[] noTargets = Arrays.copyOf(targets, rows);
      Arrays.fill(noTargets, targets.length, rows, SftExample.IGNORE_INDEX);
      return new Slice(Arrays.copyOf(ids, rows), noTargets, starts);
    }

    /** With padding. */
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
}
