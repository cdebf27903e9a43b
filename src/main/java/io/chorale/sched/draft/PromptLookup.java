package io.chorale.sched.draft;

/**
 * Guesses how one sequence goes on: finds where its last tokens occurred before, in the prompt or
 * in what was generated, and proposes what followed there. Summaries, edited code and repetitions
 * follow their own past; other text seldom does, and {@link Acceptance} learns which is the case,
 * because every new token is compared with the guess whether or not rows were spent on it.
 *
 * <p>Each token costs a few probes: the table holds, for the n-grams of minMatch to maxMatch
 * tokens, where the last one with that hash ended. A newer n-gram replaces an older one of the same
 * hash; a hit is compared token by token, so a collision loses a guess and never makes one. A guess
 * that was right is followed further, whatever else matches.
 *
 * <p>The int arrays passed in are the sequence's own and grow; positions never change. Memory: 32
 * to 64 bytes a token. Source: Saxena 2023, prompt lookup decoding; the copy that overlaps its own
 * output is LZ77's.
 */
public final class PromptLookup {
  private static final int NONE = -1;

  /** Matches are measured back to this length; longer ones count as this long. */
  private static final int LONGEST = 32;

  private static final int SLOTS_PER_TOKEN = 8;

  private final int minMatch;
  private final int maxMatch;
  private final int firstJudged;
  private final Acceptance acceptance;
  private int[] ends = new int[0]; // position after the n-gram; 0: empty
  private int indexed;
  private int follow = NONE; // position of the guess
  private int matched;

  /**
   * @param promptTokens leading tokens that teach nothing about the guesses
   * @param acceptance what is known about guesses like these; kept up to date here
   */
  public PromptLookup(DraftOptions options, int promptTokens, Acceptance acceptance) {
    this.minMatch = options.minMatch();
    this.maxMatch = options.maxMatch();
    this.firstJudged = promptTokens;
    this.acceptance = acceptance;
  }

  /** Takes in the tokens up to {@code length}; those seen before are not looked at again. */
  public void extend(int[] tokens, int length) {
    if (length * SLOTS_PER_TOKEN > ends.length) {
      grow(tokens, length);
    }
    for (; indexed < length; indexed++) {
      compare(tokens[indexed], tokens);
      lookUp(tokens, indexed + 1);
    }
  }

  private void compare(int token, int[] tokens) {
    if (follow == NONE) {
      return;
    }
    boolean right = tokens[follow] == token;
    if (indexed >= firstJudged) {
      acceptance.saw(matched, right);
    }
    follow = right ? follow + 1 : NONE;
    matched = right ? Math.min(LONGEST, matched + 1) : 0;
  }

  /** Enters the n-grams that end at {@code end} and takes the longest earlier one, if longer. */
  private void lookUp(int[] tokens, int end) {
    for (int n = Math.min(maxMatch, end); n >= minMatch; n--) {
      int slot = slot(tokens, end, n);
      int earlier = ends[slot];
      ends[slot] = end;
      // earlier is end itself if a longer n-gram has just taken the same slot
      if (n > matched && earlier > 0 && earlier < end && same(tokens, earlier, end, n)) {
        follow = earlier;
        matched = n;
        while (matched < LONGEST
            && matched < earlier
            && tokens[earlier - matched - 1] == tokens[end - matched - 1]) {
          matched++;
        }
      }
    }
  }

  private static boolean same(int[] tokens, int earlier, int end, int n) {
    for (int i = 1; i <= n; i++) {
      if (i > earlier || tokens[earlier - i] != tokens[end - i]) {
        return false;
      }
    }
    return true;
  }

  private int slot(int[] tokens, int end, int n) {
    long hash = n;
    for (int i = 1; i <= n; i++) {
      hash = (hash ^ tokens[end - i]) * 0x9E3779B97F4A7C15L;
      hash ^= hash >>> 29;
    }
    return (int) hash & ends.length - 1;
  }

  private void grow(int[] tokens, int length) {
    ends = new int[Integer.highestOneBit(Math.max(64, length) * SLOTS_PER_TOKEN) * 2];
    for (int end = minMatch; end <= indexed; end++) {
      for (int n = minMatch; n <= Math.min(maxMatch, end); n++) {
        ends[slot(tokens, end, n)] = end;
      }
    }
  }

  /** There is a guess for the token after those taken in. */
  public boolean hasGuess() {
    return follow != NONE;
  }

  /** How likely the guess {@code ahead} tokens on is right if all before it are; ahead from 0. */
  public double chance(int ahead) {
    return acceptance.chance(Math.min(LONGEST, matched + ahead));
  }

  /**
   * The guess at position {@code at}, at least the number of tokens taken in; all positions before
   * it are filled, with guesses where there are no tokens yet.
   */
  public int guess(int[] tokens, int at) {
    return tokens[follow + at - indexed];
  }
}
