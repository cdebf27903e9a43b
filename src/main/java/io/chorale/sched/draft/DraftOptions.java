package io.chorale.sched.draft;

/**
 * Bounds of speculation.
 *
 * @param maxTokens guesses per sequence and step, 0 to {@link #MAX_TOKENS}; 0 is off
 * @param minMatch last tokens that must have occurred before, 1 to {@link #MAX_MATCH}
 */
public record DraftOptions(int maxTokens, int minMatch) {
  public static final int MAX_TOKENS = 64;
  public static final int MAX_MATCH = 16;
  public static final DraftOptions OFF = new DraftOptions(0, 2);

  /** Match lengths that are looked up: minMatch and so many longer ones. */
  private static final int LONGER = 2;

  public DraftOptions {
    within("maxTokens", maxTokens, 0, MAX_TOKENS);
    within("minMatch", minMatch, 1, MAX_MATCH);
  }

  /** The longest match that is looked up; a match that goes on may grow longer. */
  int maxMatch() {
    return minMatch + LONGER;
  }

  private static void within(String field, int value, int low, int high) {
    if (value < low || value > high) {
      throw new IllegalArgumentException(
          "%s is %d, wanted %d to %d".formatted(field, value, low, high));
    }
  }
}
