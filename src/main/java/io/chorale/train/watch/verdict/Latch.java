package io.chorale.train.watch.verdict;

/**
 * One verdict's state. It changes only after the same answer several times in a row, and between
 * the two bounds it stays as it is, so that a value at a bound does not make it flap.
 */
final class Latch {
  private final int raiseAfter;
  private final int clearAfter;
  private boolean on;
  private int streak;

  Latch(int raiseAfter, int clearAfter) {
    this.raiseAfter = raiseAfter;
    this.clearAfter = clearAfter;
  }

  boolean on() {
    return on;
  }

  /**
   * Takes one observation in.
   *
   * @param bad beyond the upper bound
   * @param good within the lower bound
   * @return whether the state changed
   */
  boolean observe(boolean bad, boolean good) {
    boolean against = on ? good : bad;
    streak = against ? streak + 1 : 0;
    if (streak < (on ? clearAfter : raiseAfter)) {
      return false;
    }
    on = !on;
    streak = 0;
    return true;
  }
}
