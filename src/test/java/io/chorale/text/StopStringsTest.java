package io.chorale.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class StopStringsTest {
  @Test
  void anyCutOfATextGivesWhatTheWholeTextGives() {
    // Given: a small alphabet, so that stops overlap themselves and each other
    Random random = new Random(11);
    for (int round = 0; round < 20_000; round++) {
      List<String> stops = new ArrayList<>();
      for (int s = random.nextInt(4); s > 0; s--) {
        stops.add(word(random, 1 + random.nextInt(5)));
      }
      String text = word(random, random.nextInt(25));
      StopStrings stopper = new StopStrings(stops);
      StringBuilder sent = new StringBuilder();
      int at = 0;
      // When
      while (at < text.length()) {
        int to = Math.min(text.length(), at + random.nextInt(4));
        sent.append(stopper.push(text.substring(at, to)));
        at = to;
        // Then: nothing beyond what may still become a stop is held back
        if (!stopper.hit()) {
          assertEquals(at - longestOpenStop(stops, text.substring(0, at)), sent.length());
        }
      }
      sent.append(stopper.flush());
      // Then
      int end = firstStopBegin(stops, text);
      assertEquals(text.substring(0, end < 0 ? text.length() : end), sent.toString());
      assertEquals(end >= 0, stopper.hit(), stops + " in " + text);
    }
  }

  @Test
  void stopAcrossThreePushesIsFound() {
    // Given
    StopStrings stopper = new StopStrings(List.of("\n\nUser:"));
    String first = stopper.push("Yes.\n");
    String second = stopper.push("\nUs");
    // When
    String third = stopper.push("er: and more");
    // Then
    assertEquals("Yes.", first);
    assertEquals("", second);
    assertEquals("", third);
    assertTrue(stopper.hit());
    assertEquals("", stopper.flush());
    assertEquals("", stopper.push("later"));
  }

  @Test
  void stopThatIsCompleteFirstWinsOverOneThatBeganEarlier() {
    // Given
    StopStrings stopper = new StopStrings(List.of("abcd", "bc"));
    // When
    String sent = stopper.push("xabcd");
    // Then
    assertEquals("xa", sent);
    assertTrue(stopper.hit());
  }

  @Test
  void longerOfTwoStopsThatEndTogetherWins() {
    // Given
    StopStrings stopper = new StopStrings(List.of("c", "abc"));
    // When
    String sent = stopper.push("xabc");
    // Then
    assertEquals("x", sent);
  }

  @Test
  void heldBackTextComesOutWhenItDoesNotBecomeAStop() {
    // Given
    StopStrings stopper = new StopStrings(List.of("END"));
    String held = stopper.push("the EN");
    // When
    String rest = stopper.flush();
    // Then
    assertEquals("the ", held);
    assertEquals("EN", rest);
    assertFalse(stopper.hit());
  }

  @Test
  void withoutStopsAllTextPassesAtOnce() {
    // Given
    StopStrings stopper = new StopStrings(List.of());
    // When
    String sent = stopper.push("anything 😀");
    // Then
    assertEquals("anything 😀", sent);
  }

  @Test
  void emptyAndHalfCharacterStopsAreRefusedByIndex() {
    // Given
    List<String> empty = List.of("a", "");
    List<String> half = List.of("a\ud83d");
    // When
    var first = assertThrows(IllegalArgumentException.class, () -> new StopStrings(empty));
    var second = assertThrows(IllegalArgumentException.class, () -> new StopStrings(half));
    // Then
    assertTrue(first.getMessage().startsWith("stop[1] is empty"), first.getMessage());
    assertTrue(second.getMessage().contains("at char 1"), second.getMessage());
  }

  private static String word(Random random, int length) {
    StringBuilder word = new StringBuilder();
    for (int i = 0; i < length; i++) {
      word.appendCodePoint("ab😀".codePointAt("ab😀".offsetByCodePoints(0, random.nextInt(3))));
    }
    return word.toString();
  }

  /**
   * Reads the text one char at a time; where it first ends with a stop, the longest such begins.
   */
  private static int firstStopBegin(List<String> stops, String text) {
    for (int end = 1; end <= text.length(); end++) {
      String read = text.substring(0, end);
      int longest = stops.stream().filter(read::endsWith).mapToInt(String::length).max().orElse(0);
      if (longest > 0) {
        return end - longest;
      }
    }
    return -1;
  }

  private static int longestOpenStop(List<String> stops, String read) {
    int longest = 0;
    for (String stop : stops) {
      for (int n = 1; n < stop.length(); n++) {
        longest = read.endsWith(stop.substring(0, n)) ? Math.max(longest, n) : longest;
      }
    }
    return longest;
  }
}
