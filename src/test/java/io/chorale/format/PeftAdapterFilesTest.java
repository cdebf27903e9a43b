package io.chorale.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PeftAdapterFilesTest {
  private static PeftAdapterFiles.Config config(String json) {
    return PeftAdapterFiles.config(json.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void absentKeysHavePeftsDefaults() {
    // When
    PeftAdapterFiles.Config config = config("{}");
    // Then
    assertEquals(8, config.rank());
    assertEquals(8.0, config.alpha());
    assertEquals("none", config.bias());
    assertEquals("true", config.initLoraWeights());
    assertEquals(Optional.empty(), config.targetModules());
    assertEquals(Map.of(), config.others());
  }

  @Test
  void everythingThatPeftWritesUnaskedIsUnderstood() throws IOException {
    // Given
    Path saved = Path.of("src/test/resources/golden/adapters/rank-pattern/adapter_config.json");
    // When
    PeftAdapterFiles.Config config = PeftAdapterFiles.config(Files.readAllBytes(saved));
    // Then
    assertEquals("LORA", config.peftType());
    assertEquals(Optional.of("CAUSAL_LM"), config.taskType());
    assertEquals(7, config.rankPattern().get("layers.1.mlp.down_proj"));
    assertEquals(
        List.of(
            "inference_mode", "lora_dropout", "megatron_core", "peft_version", "qalora_group_size"),
        List.copyOf(config.others().keySet()));
  }

  @Test
  void patternsKeepTheFilesOrder() {
    // When
    PeftAdapterFiles.Config config = config("{\"rank_pattern\": {\"z\": 1, \"a\": 2, \"m\": 3}}");
    // Then
    assertEquals(List.of("z", "a", "m"), List.copyOf(config.rankPattern().keySet()));
  }

  @Test
  void oneLayerAndOnePatternCountAsListsOfOne() {
    // When
    PeftAdapterFiles.Config config =
        config("{\"layers_to_transform\": 3, \"layers_pattern\": \"layers\"}");
    // Then
    assertEquals(List.of(3), config.layersToTransform());
    assertEquals(List.of("layers"), config.layersPattern());
  }

  @Test
  void onlyOptionsThatAreSetAreListedAsOthers() {
    // When
    PeftAdapterFiles.Config config =
        config(
            "{\"a\": null, \"b\": false, \"c\": \"\", \"d\": [], \"e\": {}, \"f\": 0, \"g\": [0]}");
    // Then
    assertEquals(Map.of("f", "0", "g", "[0]"), config.others());
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource(
      delimiter = '|',
      value = {
        "{'lora_alpha': '16'} | adapter_config.json: lora_alpha is '16', wanted a number",
        "{'r': 1e30} | adapter_config.json: r is 1.0E30, wanted a whole number",
        "{'bias': true} | adapter_config.json: bias is true, wanted a string",
        "{'target_modules': [1]} | adapter_config.json: target_modules is [1], wanted a list of strings",
        "{'target_modules': 5} | adapter_config.json: target_modules is 5, wanted a list of strings",
        "{'layers_to_transform': ['0']} | adapter_config.json: layers_to_transform is '0', wanted a whole number",
        "{'rank_pattern': [1]} | adapter_config.json: rank_pattern is [1], wanted an object of patterns",
        "{'init_lora_weights': 3} | adapter_config.json: init_lora_weights is 3, wanted true, false or a name",
        "[1] | adapter_config.json is not a JSON object"
      },
      quoteCharacter = '`')
  void wrongTypeIsRefusedByKeyValueAndWhatWasWanted(String json, String reason) {
    // When
    var refused =
        assertThrows(IllegalArgumentException.class, () -> config(json.replace('\'', '"')));
    // Then
    assertEquals(reason.replace('\'', '"'), refused.getMessage());
  }

  @Test
  void keyGivenTwiceIsRefused() {
    // When
    var refused =
        assertThrows(IllegalArgumentException.class, () -> config("{\"r\": 1, \"r\": 2}"));
    // Then
    assertTrue(refused.getMessage().startsWith("adapter_config.json is not JSON: Duplicate"));
  }
}
