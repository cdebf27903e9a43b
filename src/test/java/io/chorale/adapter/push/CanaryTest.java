package io.chorale.adapter.push;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CanaryTest {
  private static final Canary CANARY =
      new Canary(new int[] {5, 6, 7}, new float[] {-1, -2}, new float[] {-3, -4});

  @TempDir Path folder;

  private Optional<Canary> written(String json) throws IOException {
    Files.writeString(folder.resolve(Canary.FILE), json);
    return Canary.read(folder);
  }

  @Test
  void numbersWithinTheToleranceAgree() {
    assertEquals(Optional.empty(), CANARY.disagreement(new float[] {-1.1f, -2.1f}));
  }

  @Test
  void numbersOfAnotherScaleAreRefusedNamingTheDistance() {
    // When
    String why = CANARY.disagreement(new float[] {-1.5f, -2.5f}).orElseThrow();
    // Then
    assertTrue(why.contains("0.500 nats off"), why);
    assertTrue(why.contains("another scale"), why);
  }

  @Test
  void theBasesOwnNumbersAreToldApart() {
    // When
    String why = CANARY.disagreement(new float[] {-3, -4}).orElseThrow();
    // Then
    assertTrue(why.contains("as if the adapter had no effect"), why);
  }

  @Test
  void notANumberDisagrees() {
    assertTrue(CANARY.disagreement(new float[] {Float.NaN, -2}).isPresent());
  }

  @Test
  void folderOfPeftItselfHasNone() throws IOException {
    assertEquals(Optional.empty(), Canary.read(folder));
    assertEquals(Optional.empty(), written("{\"format\": 1}"));
  }

  @Test
  void recordedCanaryIsReadBack() throws IOException {
    // When
    Canary read = written("{\"canary\": {\"ids\": [1, 2], \"logprobs\": [-0.5]}}").orElseThrow();
    // Then
    assertEquals(-0.5f, read.logprobs()[0]);
    assertEquals(0, read.baseLogprobs().length);
  }

  @Test
  void canaryThatMakesNoSenseIsRefused() {
    for (String canary :
        new String[] {
          "{\"ids\": [1], \"logprobs\": []}",
          "{\"ids\": [1, 2], \"logprobs\": [0, 0]}",
          "{\"ids\": [1, -2], \"logprobs\": [0]}",
          "{\"ids\": [1, 2], \"logprobs\": [\"x\"]}"
        }) {
      assertThrows(
          IllegalArgumentException.class, () -> written("{\"canary\": " + canary + "}"), canary);
    }
  }
}
