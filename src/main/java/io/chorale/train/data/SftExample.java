package io.chorale.train.data;

/**
 * One sequence to train on. Position {@code i} of the model's output is held against {@code
 * labels[i + 1]}, so {@code labels[0]} never counts.
 *
 * @param ids [tokens], borrowed: do not change
 * @param labels [tokens], the id where the loss is taken, else {@link #IGNORE_INDEX}
 * @param fullTokens length before it was cut to the longest allowed
 * @param unendedTurn index of the first answer whose labels hold no end-of-turn token, -1 if all do
 */
public record SftExample(int[] ids, int[] labels, int fullTokens, int unendedTurn) {
  public static final int IGNORE_INDEX = -100;

  public SftExample {
    if (ids.length != labels.length) {
      throw new IllegalArgumentException(
          "labels has %d tokens, ids %d".formatted(labels.length, ids.length));
    }
  }

  public boolean truncated() {
    return fullTokens > ids.length;
  }

  /** How many positions the loss is taken over. */
  public int trainedTokens() {
    int trained = 0;
    for (int i = 1; i < labels.length; i++) {
      trained += labels[i] == IGNORE_INDEX ? 0 : 1;
    }
    return trained;
  }
}
