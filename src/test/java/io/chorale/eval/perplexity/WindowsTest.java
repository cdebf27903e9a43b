package io.chorale.eval.perplexity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.eval.task.HarnessGolden;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class WindowsTest {

  @Test
  void windowsPredictWhatTheHarnessPredictsAfterTheSameContext() throws IOException {
    for (JsonNode golden : HarnessGolden.windows()) {
      // Given
      int size = golden.get("size").asInt();
      int stride = size - golden.get("context").asInt() + 1;
      int[] tokens = IntStream.rangeClosed(1, golden.get("tokens").asInt()).toArray();
      // When
      List<Windows.Window> windows = Windows.of(tokens, 0, size, stride);
      // Then
      List<String> had = new ArrayList<>();
      List<String> wanted = new ArrayList<>();
      for (Windows.Window window : windows) {
        int from = window.ids().length - window.predicted();
        had.add(Arrays.toString(window.ids()) + " from " + from);
      }
      for (JsonNode pair : golden.get("windows")) {
        wanted.add(ids(pair) + " from " + from(pair));
      }
      assertEquals(wanted, had, golden.toString());
    }
  }

  /** The harness' pair is context and predicted tokens, or (stride > 1) the whole input shifted. */
  private static String ids(JsonNode pair) {
    List<Integer> all = new ArrayList<>();
    pair.get(0).forEach(id -> all.add(id.asInt()));
    int last = pair.get(1).get(pair.get(1).size() - 1).asInt();
    if (all.get(all.size() - 1) == last - 1) {
      all.add(last); // input, shifted by one
    } else {
      pair.get(1).forEach(id -> all.add(id.asInt()));
    }
    return all.toString();
  }

  private static int from(JsonNode pair) {
    return ids(pair).split(",").length - pair.get(1).size();
  }

  @Test
  void strideLongerThanTheWindowIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> Windows.of(new int[] {1, 2}, 0, 2, 3));
  }

  @Test
  void wordsAreCountedAsPythonSplitsThem() {
    assertEquals(4, PerplexityTest.words("one two\u00a0three\n\n four"));
    assertEquals(3, PerplexityTest.words(" one "));
  }
}
