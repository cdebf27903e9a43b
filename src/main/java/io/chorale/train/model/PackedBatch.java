package io.chorale.train.model;

import io.chorale.train.data.SftExample;

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
}
