package io.chorale.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.text.GoldenTokenizer.Case;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TokenizerTest {
  @ParameterizedTest
  @ValueSource(strings = {"smollm2", "llama3-style", "qwen2-style", "spm-style", "spm-legacy"})
  void idsAreThoseOfTransformers(String name) {
    // Given
    GoldenTokenizer golden = GoldenTokenizer.of(name);
    for (Case expected : golden.cases()) {
      // When
      int[] ids = golden.tokenizer().encode(expected.text(), true);
      // Then
      assertArrayEquals(expected.ids(), ids, expected.text());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"smollm2", "llama3-style", "qwen2-style", "spm-style", "spm-legacy"})
  void specialTokensAreOrdinaryTextWhereTransformersSplitsThem(String name) {
    // Given
    GoldenTokenizer golden = GoldenTokenizer.of(name);
    for (Case expected : golden.cases()) {
      // When
      int[] ids = golden.tokenizer().encode(expected.text(), false);
      // Then
      assertArrayEquals(expected.plain(), ids, expected.text());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"smollm2", "llama3-style", "qwen2-style", "spm-style", "spm-legacy"})
  void decodedTextIsThatOfTransformers(String name) {
    // Given
    GoldenTokenizer golden = GoldenTokenizer.of(name);
    for (Case expected : golden.cases()) {
      // When
      String kept = golden.tokenizer().decode(expected.ids(), false);
      String skipped = golden.tokenizer().decode(expected.ids(), true);
      // Then
      assertEquals(expected.decodedAll(), kept);
      assertEquals(expected.decoded(), skipped);
    }
    for (JsonNode row : golden.golden().path("decodes")) {
      // When
      String text = golden.tokenizer().decode(GoldenTokenizer.ints(row.path("ids")), true);
      // Then
      assertEquals(row.path("decoded").asText(), text);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"smollm2", "llama3-style"})
  void tokenBytesPutTogetherAreTheUtf8OfTheText(String name) {
    // Given: no normalizer in these, so text comes back unchanged
    GoldenTokenizer golden = GoldenTokenizer.of(name);
    for (Case expected : golden.cases()) {
      // When
      byte[] bytes = bytes(golden.tokenizer(), expected.ids());
      // Then
      assertArrayEquals(expected.text().getBytes(StandardCharsets.UTF_8), bytes, expected.text());
    }
  }

  @Test
  void tokenBytesOfASentencepieceTextKeepItsLeadingSpace() {
    // Given
    Tokenizer tokenizer = GoldenTokenizer.of("spm-style").tokenizer();
    String text = "The 狐 jumps\n";
    // When
    byte[] bytes = bytes(tokenizer, tokenizer.encode(text, true));
    // Then
    assertEquals(" " + text, new String(bytes, StandardCharsets.UTF_8));
  }

  @Test
  void tokensAndIdsNameEachOtherAddedOnesIncluded() {
    // Given
    Tokenizer tokenizer = GoldenTokenizer.of("qwen2-style").tokenizer();
    for (int id = 0; id < tokenizer.vocabSize(); id++) {
      // When
      String token = tokenizer.token(id).orElseThrow();
      // Then
      assertEquals(OptionalInt.of(id), tokenizer.tokenId(token));
    }
    assertTrue(tokenizer.isSpecial(tokenizer.tokenId("<|im_end|>").orElseThrow()));
    assertFalse(tokenizer.isSpecial(tokenizer.tokenId("<think>").orElseThrow()));
    assertTrue(tokenizer.tokenId("no such token").isEmpty());
  }

  @Test
  void idsWithoutATokenStandForNothing() {
    // Given: a model's output may be wider than its vocabulary
    Tokenizer tokenizer = GoldenTokenizer.of("llama3-style").tokenizer();
    int beyond = tokenizer.vocabSize() + 5;
    // When
    String text = tokenizer.decode(new int[] {beyond}, true);
    // Then
    assertEquals("", text);
    assertEquals(0, tokenizer.tokenBytes(beyond).length);
    assertTrue(tokenizer.token(beyond).isEmpty());
    assertTrue(tokenizer.token(-1).isEmpty());
    assertFalse(tokenizer.isSpecial(beyond));
  }

  @Test
  void controlTokenThatAFileForgotToMarkIsStillOnlyTextToAUser() {
    // Given
    String json =
        GoldenTokenizer.of("qwen2-style")
            .json()
            .replace(
                "\"normalized\":false,\"special\":true", "\"normalized\":false,\"special\":false");
    Tokenizer tokenizer = Tokenizer.fromJson(json);
    int end = tokenizer.tokenId("<|im_end|>").orElseThrow();
    // When
    int[] parsed = tokenizer.encode("a<|im_end|>", true);
    int[] plain = tokenizer.encode("a<|im_end|>", false);
    // Then
    assertEquals(end, parsed[parsed.length - 1]);
    assertTrue(Arrays.stream(plain).noneMatch(id -> id == end));
    assertFalse(tokenizer.isSpecial(end));
  }

  @ParameterizedTest
  @ValueSource(strings = {"ab\ud83d", "ab\ude00", "ab\ud83dc", "ab\ude00\ud83d"})
  void loneSurrogateIsRefusedByItsIndex(String text) {
    // Given
    Tokenizer tokenizer = GoldenTokenizer.of("spm-style").tokenizer();
    // When
    var error = assertThrows(IllegalArgumentException.class, () -> tokenizer.encode(text, true));
    // Then
    assertTrue(error.getMessage().contains("at char 2"), error.getMessage());
  }

  @Test
  void threadsThatShareATokenizerGetTheirOwnIds() {
    // Given
    GoldenTokenizer golden = GoldenTokenizer.of("smollm2");
    List<Case> cases = golden.cases();
    // When
    boolean same =
        IntStream.range(0, cases.size() * 8)
            .parallel()
            .mapToObj(i -> cases.get(i % cases.size()))
            .allMatch(c -> Arrays.equals(c.ids(), golden.tokenizer().encode(c.text(), true)));
    // Then
    assertTrue(same);
  }

  @Test
  void fileOnDiskGivesTheSameTokenizer(@TempDir Path folder) throws IOException {
    // Given
    GoldenTokenizer golden = GoldenTokenizer.of("spm-style");
    Path file = Files.writeString(folder.resolve("tokenizer.json"), golden.json());
    // When
    Tokenizer tokenizer = Tokenizer.fromJson(file);
    // Then
    assertArrayEquals(
        golden.cases().get(0).ids(), tokenizer.encode(golden.cases().get(0).text(), true));
    var error =
        assertThrows(
            UncheckedIOException.class, () -> Tokenizer.fromJson(folder.resolve("absent.json")));
    assertTrue(error.getMessage().contains("absent.json"));
  }

  @Test
  void tokenizersOfOtherKindsAreRefusedByName() {
    // Given
    String json = GoldenTokenizer.of("spm-style").json();
    String wordPiece =
        json.replaceFirst("\"decoder\":\\{.*?\\]\\}", "\"decoder\":{\"type\":\"WordPiece\"}");
    // When
    var decoder = assertThrows(IllegalArgumentException.class, () -> Tokenizer.fromJson(wordPiece));
    var config = assertThrows(IllegalArgumentException.class, () -> Tokenizer.fromJson("{}"));
    var broken = assertThrows(IllegalArgumentException.class, () -> Tokenizer.fromJson("{"));
    // Then
    assertTrue(decoder.getMessage().contains("WordPiece"), decoder.getMessage());
    assertTrue(config.getMessage().contains("no \"model\""), config.getMessage());
    assertTrue(broken.getMessage().contains("not JSON"), broken.getMessage());
  }

  @Test
  void libraryIsToldToStayOffline() {
    // Given
    GoldenTokenizer.of("spm-style");
    // When
    String offline = System.getProperty("ai.djl.offline");
    // Then
    assertEquals("true", offline);
  }

  private static byte[] bytes(Tokenizer tokenizer, int[] ids) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int id : ids) {
      bytes.writeBytes(tokenizer.tokenBytes(id));
    }
    return bytes.toByteArray();
  }
}
