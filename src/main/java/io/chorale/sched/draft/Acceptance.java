package io.chorale.sched.draft;

/**
 * How often guesses were right of late, by how many tokens had matched before them: two equal
 * tokens are often chance, twenty are a copy. Averages of 0 and 1 that forget exponentially; a
 * sequence starts from the averages of all before it.
 */
public final class Acceptance {
  /** Share that one guess has of a sequence's average: about the last ten count. */
  private static final double OF_SEQUENCE = 0.1;

  /** Share that one guess has of the average of all sequences. */
  private static final double OF_ALL = 0.01;

  private final Acceptance all;
  private final double weight;
  private final double[] right = {0.25, 0.45, 0.7, 0.85, 0.95};

  /** Of all sequences, before the first. */
  public Acceptance() {
    this.all = null;
    this.weight = OF_ALL;
  }

  /** Of one more sequence. */
  public Acceptance(Acceptance all) {
    this.all = all;
    this.weight = OF_SEQUENCE;
    System.arraycopy(all.right, 0, right, 0, right.length);
  }

  void saw(int matched, boolean wasRight) {
    int level = level(matched);
    right[level] += weight * ((wasRight ? 1 : 0) - right[level]);
    if (all != null) {
      all.saw(matched, wasRight);
    }
  }

  double chance(int matched) {
    return right[level(matched)];
  }

  /** Levels begin at 1, 3, 5, 9 and 17 matched tokens. */
  private static int level(int matched) {
    return matched < 3 ? 0 : matched < 5 ? 1 : matched < 9 ? 2 : matched < 17 ? 3 : 4;
  }
}
