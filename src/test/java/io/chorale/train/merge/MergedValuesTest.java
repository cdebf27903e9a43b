package io.chorale.train.merge;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.format.SafetensorsFiles;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Merged folders against PEFT's merge_and_unload, and against PEFT's logits of the adapter. */
class MergedValuesTest {
  private static final double VALUE_TOLERANCE = 1e-6;
  private static final double LOGIT_TOLERANCE = 2e-4;

  @TempDir Path folder;

  static Stream<Map.Entry<String, JsonNode>> values() throws IOException {
    Path file = Path.of("src/test/resources/golden/merge/values.json");
    return new ObjectMapper().readTree(file.toFile()).properties().stream();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("values")
  void everyChangedWeightIsPeftsMergeToOneMillionth(Map.Entry<String, JsonNode> golden)
      throws IOException {
    // Given
    Path base = Merging.MODELS.resolve(golden.getValue().get("base").asText());
    Path adapter = Merging.ADAPTERS.resolve(golden.getKey());
    // When
    Merging.merge(base, adapter, folder.resolve("out"), MergeFormat.HF_F32);
    // Then
    try (SafetensorsFiles before = SafetensorsFiles.open(base);
        SafetensorsFiles merged = SafetensorsFiles.open(folder.resolve("out"))) {
      Set<String> changed = new TreeSet<>();
      for (String name : merged.names()) {
        float[] had = merged.tensor(name).toFloats();
        JsonNode wanted = golden.getValue().get("changed").get(name);
        if (wanted != null) {
          changed.add(name);
          assertSamples(name, wanted, had);
        } else if (before.names().contains(name)) {
          assertArrayEquals(before.tensor(name).toFloats(), had, name);
        }
      }
      Set<String> all = new TreeSet<>();
      golden.getValue().get("changed").fieldNames().forEachRemaining(all::add);
      if (!merged.names().contains("lm_head.weight")) {
        all.remove("lm_head.weight"); // tied: it is the embedding
      }
      assertEquals(all, changed);
    }
  }

  private static void assertSamples(String name, JsonNode wanted, float[] had) {
    for (int i = 0; i < wanted.size(); i++) {
      int at = (int) ((double) i * (had.length - 1) / (wanted.size() - 1));
      double value = wanted.get(i).asDouble();
      assertEquals(
          value, had[at], VALUE_TOLERANCE * Math.max(1, Math.abs(value)), name + " at " + at);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "lora-all-linear llama",
        "rslora llama",
        "lora-bias llama",
        "rank-pattern llama",
        "mixed-ranks llama",
        "dora llama",
        "dora-rslora llama",
        "dora-embed-head llama-untied",
        "tied-embed-head llama",
        "tied-ensured llama",
        "tied-modules-to-save llama",
        "layers-to-transform llama",
        "untied-embed-head llama-untied",
        "untied-modules-to-save llama-untied",
        "nf4-dora llama-nf4"
      })
  void mergedFolderComputesTheAdaptersLogits(String adapterAndBase) throws IOException {
    // Given
    String[] names = adapterAndBase.split(" ");
    Path adapter = Merging.ADAPTERS.resolve(names[0]);
    // When
    Merging.merge(
        Merging.MODELS.resolve(names[1]), adapter, folder.resolve("out"), MergeFormat.HF_F32);
    // Then
    Merging.assertLogits(folder.resolve("out"), adapter.resolve("logits.json"), LOGIT_TOLERANCE);
  }
}
