package io.chorale.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.text.GoldenTokenizer.Case;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GgufVocabularyTest {
  @ParameterizedTest
  @CsvSource({
    "smollm2, smollm",
    "llama3-style, llama-bpe",
    "llama3-style, llama3",
    "llama3-style, llama-v3",
    "qwen2-style, qwen2"
  })
  void byteLevelVocabularyFromMetadataGivesTheIdsOfTransformers(String name, String pre) {
    // Given
    GoldenTokenizer golden = GoldenTokenizer.of(name);
    // When
    Tokenizer tokenizer = Tokenizer.fromGguf(golden.asGguf(pre));
    // Then
    assertEquals(golden.tokenizer().vocabSize(), tokenizer.vocabSize());
    for (Case expected : golden.cases()) {
      assertArrayEquals(expected.ids(), tokenizer.encode(expected.text(), true), expected.text());
      assertArrayEquals(
          expected.plain(), tokenizer.encode(expected.text(), false), expected.text());
      assertEquals(expected.decoded(), tokenizer.decode(expected.ids(), true));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gpt-2", "default", ""})
  void unnamedSplittingIsThatOfGpt2AsInTransformers(String pre) {
    // Given
    Map<String, Object> metadata = GoldenTokenizer.of("smollm2").asGguf(pre);
    if (pre.isEmpty()) {
      metadata.remove("tokenizer.ggml.pre");
    }
    // When
    Tokenizer tokenizer = Tokenizer.fromGguf(metadata);
    // Then
    for (Case expected : GoldenTokenizer.cases(GoldenTokenizer.tree("smollm2-gpt2.gguf.json"))) {
      assertArrayEquals(expected.ids(), tokenizer.encode(expected.text(), true), expected.text());
      assertArrayEquals(
          expected.plain(), tokenizer.encode(expected.text(), false), expected.text());
    }
  }

  @Test
  void sentencepieceMergesDerivedFromScoresGiveTheIdsOfTransformers() {
    // Given
    JsonNode golden = GoldenTokenizer.tree("spm-style.gguf.json");
    // When
    Tokenizer tokenizer = Tokenizer.fromGguf(sentencepiece(golden));
    // Then
    for (Case expected : GoldenTokenizer.cases(golden)) {
      assertArrayEquals(expected.ids(), tokenizer.encode(expected.text(), true), expected.text());
    }
  }

  @Test
  void piecesThatMergeIntoAControlTokenDoNotMakeOneOutOfUserText() {
    // Given: this vocabulary has "</" and "s>"; in transformers typed "</s>" merges into id 2
    JsonNode golden = GoldenTokenizer.tree("spm-style.gguf.json");
    Tokenizer tokenizer = Tokenizer.fromGguf(sentencepiece(golden));
    long merged = 0;
    for (Case expected : GoldenTokenizer.cases(golden)) {
      // When
      int[] ids = tokenizer.encode(expected.text(), false);
      // Then
      assertTrue(Arrays.stream(ids).noneMatch(tokenizer::isSpecial), expected.text());
      if (Arrays.stream(expected.plain()).anyMatch(tokenizer::isSpecial)) {
        merged++;
      } else {
        assertArrayEquals(expected.plain(), ids, expected.text());
      }
    }
    assertTrue(merged > 0, "the vocabulary no longer shows the danger");
  }

  @Test
  void sentencepieceWithoutSpacePrefixNeitherAddsNorTakesTheLeadingSpace() {
    // Given
    Map<String, Object> metadata = sentencepiece(GoldenTokenizer.tree("spm-style.gguf.json"));
    metadata.put("tokenizer.ggml.add_space_prefix", false);
    Tokenizer tokenizer = Tokenizer.fromGguf(metadata);
    // When
    int[] ids = tokenizer.encode(" over", true);
    // Then
    assertEquals(" over", tokenizer.decode(ids, true));
    assertEquals("over", tokenizer.decode(tokenizer.encode("over", true), true));
  }

  @Test
  void arraysAndListsOfMetadataAreTheSame() {
    // Given
    Map<String, Object> lists = GoldenTokenizer.of("qwen2-style").asGguf("qwen2");
    Map<String, Object> arrays = new HashMap<>(lists);
    arrays.computeIfPresent(
        "tokenizer.ggml.tokens", (k, v) -> ((List<?>) v).toArray(String[]::new));
    arrays.computeIfPresent("tokenizer.ggml.merges", (k, v) -> ((List<?>) v).toArray());
    lists.computeIfPresent(
        "tokenizer.ggml.token_type", (k, v) -> Arrays.stream((int[]) v).boxed().toList());
    String text = "ab<|im_end|> 12 é";
    // When
    int[] ids = Tokenizer.fromGguf(arrays).encode(text, true);
    // Then
    assertArrayEquals(Tokenizer.fromGguf(lists).encode(text, true), ids);
  }

  @ParameterizedTest
  @CsvSource({
    "tokenizer.ggml.model, bert, 'wanted gpt2 or llama'",
    "tokenizer.ggml.pre, tekken, 'wanted smollm, gpt-2, default, llama-bpe, llama3, llama-v3 or qwen2'",
    "tokenizer.ggml.tokens, text, 'wanted an array'",
    "tokenizer.ggml.merges, text, 'wanted an array'"
  })
  void otherKindsAreRefusedByNameWithWhatIsSupported(String key, String value, String wanted) {
    // Given
    Map<String, Object> metadata = GoldenTokenizer.of("qwen2-style").asGguf("qwen2");
    metadata.put(key, value);
    // When
    var error = assertThrows(IllegalArgumentException.class, () -> Tokenizer.fromGguf(metadata));
    // Then
    assertTrue(error.getMessage().contains(key), error.getMessage());
    assertTrue(error.getMessage().contains(wanted), error.getMessage());
  }

  @ParameterizedTest
  @ValueSource(strings = {"gemma", "gemma2", "gemma3", "phi3"})
  void sentencepieceOfAnArchitectureThatSpellsSpacesOtherwiseIsRefused(String architecture) {
    // Given
    Map<String, Object> metadata = sentencepiece(GoldenTokenizer.tree("spm-style.gguf.json"));
    metadata.put("general.architecture", architecture);
    // When
    var error = assertThrows(IllegalArgumentException.class, () -> Tokenizer.fromGguf(metadata));
    // Then
    assertTrue(error.getMessage().contains("'" + architecture + "'"), error.getMessage());
    assertTrue(error.getMessage().contains("tokenizer.json beside it"), error.getMessage());
  }

  @Test
  void tokenThatStandsTwiceIsRefusedWithBothIds() {
    // Given
    Map<String, Object> metadata = GoldenTokenizer.of("qwen2-style").asGguf("qwen2");
    metadata.put("tokenizer.ggml.tokens", List.of("a", "b", "a"));
    // When
    var error = assertThrows(IllegalArgumentException.class, () -> Tokenizer.fromGguf(metadata));
    // Then
    assertTrue(error.getMessage().contains("'a' at 0 and 2"), error.getMessage());
  }

  private static Map<String, Object> sentencepiece(JsonNode golden) {
    Map<String, Object> metadata = new HashMap<>();
    metadata.put("tokenizer.ggml.model", "llama");
    metadata.put(
        "tokenizer.ggml.tokens",
        StreamSupport.stream(golden.path("tokens").spliterator(), false)
            .map(JsonNode::asText)
            .toList());
    metadata.put("tokenizer.ggml.token_type", GoldenTokenizer.ints(golden.path("token_type")));
    float[] scores = new float[golden.path("scores").size()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = (float) golden.path("scores").get(i).asDouble();
    }
    metadata.put("tokenizer.ggml.scores", scores);
    return metadata;
  }
}
