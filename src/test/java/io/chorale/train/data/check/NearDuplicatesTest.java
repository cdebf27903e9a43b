package io.chorale.train.data.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** MinHash against every pair compared as sets of strings. */
class NearDuplicatesTest {
  private static final double SIMILAR = 0.8;

  @Test
  void jaccardOfHashesIsThatOfTheWordTriples() {
    // Given
    List<String> texts = texts(new Random(1), 60);
    for (String a : texts) {
      for (String b : texts) {
        // When
        double hashed = Shingles.of(a).jaccard(Shingles.of(b));
        // Then
        assertEquals(bruteForce(a, b), hashed, 1e-12, a + " | " + b);
      }
    }
  }

  @Test
  void findsWhatComparingAllPairsFindsAndNothingElse() {
    int pairs = 0;
    int missed = 0;
    for (int seed = 0; seed < 20; seed++) {
      // Given
      List<String> texts = texts(new Random(seed), 200);
      NearDuplicates near = new NearDuplicates(SIMILAR);
      List<String> before = new ArrayList<>();
      for (String text : texts) {
        // When
        Shingles shingles = Shingles.of(text);
        long[] signature = NearDuplicates.signature(shingles);
        OptionalInt found = near.find(shingles, signature);
        // Then
        boolean there = before.stream().anyMatch(b -> bruteForce(b, text) >= SIMILAR);
        if (found.isPresent()) {
          assertTrue(bruteForce(before.get(found.getAsInt()), text) >= SIMILAR, text);
        }
        pairs += there ? 1 : 0;
        missed += there && found.isEmpty() ? 1 : 0;
        near.add(shingles, signature);
        before.add(text);
      }
    }
    assertTrue(pairs > 300, "only " + pairs + " pairs to find");
    assertTrue(missed <= pairs / 100, missed + " of " + pairs + " missed");
  }

  @Test
  void caseAndPunctuationMakeNoDifference() {
    assertEquals(1, Shingles.of("What is A lease?").jaccard(Shingles.of("what, is a LEASE")));
  }

  @Test
  void textsWithoutAWordAreLikeNothing() {
    // Given
    NearDuplicates near = new NearDuplicates(SIMILAR);
    Shingles none = Shingles.of("?! ...");
    // When
    near.add(none, NearDuplicates.signature(none));
    // Then
    assertEquals(OptionalInt.empty(), near.find(none, NearDuplicates.signature(none)));
  }

  /** Random texts, about half of them an earlier one with a few words changed. */
  private static List<String> texts(Random random, int count) {
    List<String> texts = new ArrayList<>();
    while (texts.size() < count) {
      List<String> words = new ArrayList<>();
      if (!texts.isEmpty() && random.nextBoolean()) {
        words.addAll(List.of(texts.get(random.nextInt(texts.size())).split(" ")));
        for (int change = random.nextInt(6); change > 0; change--) {
          words.set(random.nextInt(words.size()), "w" + random.nextInt(50));
        }
      } else {
        int length = 1 + random.nextInt(80);
        for (int i = 0; i < length; i++) {
          words.add("w" + random.nextInt(50));
        }
      }
      texts.add(String.join(" ", words));
    }
    return texts;
  }

  private static double bruteForce(String a, String b) {
    Set<String> left = triples(a);
    Set<String> both = new HashSet<>(left);
    Set<String> either = new HashSet<>(left);
    both.retainAll(triples(b));
    either.addAll(triples(b));
    return (double) both.size() / either.size();
  }

  private static Set<String> triples(String text) {
    String[] words = text.split(" ");
    Set<String> triples = new HashSet<>();
    int length = Math.min(3, words.length);
    for (int i = 0; i + length <= words.length; i++) {
      triples.add(String.join(" ", List.of(words).subList(i, i + length)));
    }
    return triples;
  }
}
