package io.chorale.sched.draft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PromptLookupTest {
  private static final DraftOptions FROM_TWO = new DraftOptions(8, 2);

  private static PromptLookup lookup(int minMatch, int... tokens) {
    PromptLookup lookup = new PromptLookup(new DraftOptions(8, minMatch), 0, new Acceptance());
    lookup.extend(tokens, tokens.length);
    return lookup;
  }

  /** The next {@code count} guesses. */
  private static int[] guesses(PromptLookup lookup, int[] tokens, int count) {
    int[] all = Arrays.copyOf(tokens, tokens.length + count);
    for (int at = tokens.length; at < all.length; at++) {
      all[at] = lookup.guess(all, at);
    }
    return Arrays.copyOfRange(all, tokens.length, all.length);
  }

  @Test
  void whatFollowedTheSameTokensBeforeIsGuessed() {
    int[] tokens = {1, 2, 3, 4, 5, 9, 2, 3};
    assertEquals("[4, 5, 9]", Arrays.toString(guesses(lookup(2, tokens), tokens, 3)));
  }

  @Test
  void theLongerMatchWinsOverTheLaterOne() {
    int[] tokens = {1, 2, 3, 4, 7, 2, 3, 5, 1, 2, 3};
    assertEquals("[4]", Arrays.toString(guesses(lookup(2, tokens), tokens, 1)));
  }

  @Test
  void theLaterOfTwoEqualMatchesWins() {
    int[] tokens = {2, 3, 4, 2, 3, 5, 2, 3};
    assertEquals("[5]", Arrays.toString(guesses(lookup(2, tokens), tokens, 1)));
  }

  @Test
  void aRepetitionIsGuessedBeyondItsOwnEnd() {
    int[] tokens = {1, 2, 3, 1, 2};
    assertEquals("[3, 1, 2, 3, 1, 2, 3]", Arrays.toString(guesses(lookup(2, tokens), tokens, 7)));
  }

  @Test
  void fewerTokensThanAskedForMatchNothing() {
    int[] tokens = {1, 2, 3, 4, 2, 3};
    assertTrue(lookup(2, tokens).hasGuess());
    assertFalse(lookup(3, tokens).hasGuess());
    assertFalse(lookup(1, 1, 2, 3).hasGuess());
  }

  @Test
  void tokensTakenInOneByOneGiveTheGuessesOfTokensTakenInAtOnce() {
    for (int seed = 0; seed < 200; seed++) {
      // Given
      int[] tokens = new Random(seed).ints(300, 0, 2 + seed % 20).toArray();
      PromptLookup slow = new PromptLookup(FROM_TWO, 0, new Acceptance());
      for (int length = 1; length <= tokens.length; length++) {
        slow.extend(tokens, length);
      }
      // When
      PromptLookup atOnce = lookup(2, tokens);
      // Then
      assertEquals(atOnce.hasGuess(), slow.hasGuess(), "seed " + seed);
      if (slow.hasGuess()) {
        assertTrue(followsAMatch(tokens, slow.guess(tokens, tokens.length)), "seed " + seed);
      }
    }
  }

  /** Some earlier place has the same last two tokens and goes on with the guess. */
  private static boolean followsAMatch(int[] tokens, int guess) {
    int end = tokens.length;
    for (int at = 2; at < end; at++) {
      if (tokens[at - 1] == tokens[end - 1]
          && tokens[at - 2] == tokens[end - 2]
          && tokens[at] == guess) {
        return true;
      }
    }
    return false;
  }

  @Test
  void wrongGuessesLowerTheChanceOfTheNextOnesAndRightOnesRaiseIt() {
    // Given: after 1, 2 always comes something else
    PromptLookup failing = new PromptLookup(FROM_TWO, 0, new Acceptance(new Acceptance()));
    int[] tokens = new int[300];
    for (int i = 0; i < 300; i += 3) {
      tokens[i] = 1;
      tokens[i + 1] = 2;
      tokens[i + 2] = 100 + i;
    }
    // When
    failing.extend(tokens, 5);
    double before = failing.chance(0);
    failing.extend(tokens, 299);
    // Then
    assertTrue(failing.hasGuess());
    assertTrue(failing.chance(0) < before / 10, before + " -> " + failing.chance(0));
    int[] circle = new int[400];
    Arrays.setAll(circle, i -> i % 50);
    assertTrue(lookup(2, circle).chance(0) > 0.95);
  }

  @Test
  void promptTokensTeachNothingAboutTheGuesses() {
    int[] circle = new int[400];
    Arrays.setAll(circle, i -> i % 50);
    Acceptance untouched = new Acceptance();
    Acceptance acceptance = new Acceptance();
    new PromptLookup(FROM_TWO, 400, acceptance).extend(circle, 400);
    assertEquals(untouched.chance(30), acceptance.chance(30));
  }
}
