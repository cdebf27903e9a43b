package io.chorale.eval.task;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.eval.run.Sha256;
import io.chorale.eval.task.ChoiceDocs.Asked;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every context and continuation against lm-evaluation-harness' own, character by character. */
class HarnessContextsTest {

  @ParameterizedTest
  @ValueSource(strings = {"hellaswag_swag", "letters", "examples", "general"})
  void contextsAndContinuationsAreTheHarness(String task) throws IOException {
    // Given
    List<JsonNode> golden = HarnessGolden.samples(task);
    // When
    TaskFiles.Loaded loaded =
        TaskFiles.read(
            HarnessGolden.file(task).toString(), new TaskFiles.Options(null, 0, Map.of()));
    // Then
    ChoiceTest test = (ChoiceTest) loaded.tasks().get(0);
    for (int d = 0; d < golden.size(); d++) {
      Asked asked = test.documents().get(d);
      List<String> hashes = new ArrayList<>();
      for (String continuation : asked.continuations()) {
        hashes.add(Sha256.of(asked.context() + "\0" + continuation).substring(0, 16));
      }
      List<String> wanted = new ArrayList<>();
      golden.get(d).get("requests").forEach(hash -> wanted.add(hash.asText()));
      assertEquals(wanted, hashes, "document " + d + ":\n" + asked.context());
    }
  }
}
