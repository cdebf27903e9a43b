package io.chorale.train.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class LrScheduleTest {
  @Test
  void everyRateIsTransformers() throws IOException {
    JsonNode cases =
        new ObjectMapper()
            .readTree(Path.of("src/test/resources/golden/trainer/schedules.json").toFile());
    for (JsonNode one : cases) {
      // Given
      LrSchedule schedule =
          LrSchedule.of(
              LrSchedule.Kind.parse(one.get("kind").asText()),
              2e-4,
              one.get("warmup").asDouble(),
              one.get("total").asInt());
      for (int step = 0; step < one.get("rates").size(); step++) {
        // When, Then
        assertEquals(
            one.get("rates").get(step).asDouble(), schedule.at(step), 1e-18, one + " " + step);
      }
    }
  }

  @Test
  void unknownCurveIsRefusedWithTheChoices() {
    var e = assertThrows(IllegalArgumentException.class, () -> LrSchedule.Kind.parse("cos"));
    assertTrue(e.getMessage().contains("'cos', wanted cosine, linear or constant"));
  }
}
