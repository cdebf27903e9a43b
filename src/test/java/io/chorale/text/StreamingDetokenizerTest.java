package io.chorale.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.chorale.text.GoldenTokenizer.Case;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StreamingDetokenizerTest {
  @ParameterizedTest
  @ValueSource(strings = {"smollm2", "llama3-style", "qwen2-style", "spm-style", "spm-legacy"})
  void piecesOfATextPutTogetherAreItsDecodingByTransformers(String name) {
    // Given
    GoldenTokenizer golden = GoldenTokenizer.of(name);
    for (Case expected : golden.cases()) {
      // When
      String text = stream(golden.tokenizer(), expected.ids());
      // Then
      assertEquals(expected.decoded(), text);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"smollm2", "llama3-style", "qwen2-style"})
  void piecesOfRandomByteLevelIdsPutTogetherAreTheirDecoding(String name) {
    // Given: random ids cut characters anywhere and hold special and unused ids
    Tokenizer tokenizer = GoldenTokenizer.of(name).tokenizer();
    Random random = new Random(7);
    for (int round = 0; round < 2000; round++) {
      int[] ids = random.ints(1 + random.nextInt(30), 0, tokenizer.vocabSize() + 2).toArray();
      // When
      String text = stream(tokenizer, ids);
      // Then
      assertEquals(tokenizer.decode(ids, true), text, () -> Arrays.toString(ids));
    }
  }

  @Test
  void piecesOfRandomBytesPutTogetherAreTheirDecoding() {
    // Given: only tokens of one byte, biased to the bytes that begin or continue a character
    Tokenizer tokenizer = GoldenTokenizer.of("smollm2").tokenizer();
    int[] byId =
        IntStream.range(0, tokenizer.vocabSize())
            .filter(id -> tokenizer.tokenBytes(id).length == 1 && tokenizer.tokenBytes(id)[0] < 0)
            .toArray();
    Random random = new Random(8);
    for (int round = 0; round < 5000; round++) {
      int[] ids = random.ints(12, 0, byId.length).map(i -> byId[i]).toArray();
      // When
      String text = stream(tokenizer, ids);
      // Then
      assertEquals(tokenizer.decode(ids, true), text, () -> Arrays.toString(ids));
    }
  }

  @Test
  void piecesOfRandomSentencepieceIdsDifferFromTheirDecodingOnlyInRunsOfBrokenBytes() {
    // Given
    Tokenizer tokenizer = GoldenTokenizer.of("spm-style").tokenizer();
    Random random = new Random(9);
    int compared = 0;
    for (int round = 0; round < 4000; round++) {
      int[] ids = random.ints(1 + random.nextInt(12), 0, tokenizer.vocabSize()).toArray();
      String whole = tokenizer.decode(ids, true);
      // When
      String text = stream(tokenizer, ids);
      // Then
      if (whole.indexOf('\uFFFD') < 0) {
        assertEquals(whole, text, () -> Arrays.toString(ids));
        compared++;
      }
    }
    assertFalse(compared < 200, "too few random texts without broken bytes: " + compared);
  }

  @Test
  void brokenByteTokensAreReplacedOneByOne() {
    // Given: E2 82 and no third byte
    Tokenizer tokenizer = GoldenTokenizer.of("spm-style").tokenizer();
    int[] ids = {id(tokenizer, "<0xE2>"), id(tokenizer, "<0x82>"), id(tokenizer, "▁")};
    // When
    String text = stream(tokenizer, ids);
    // Then
    assertEquals(tokenizer.decode(ids, true), text);
    assertEquals("\uFFFD\uFFFD ", text);
  }

  @Test
  void characterCutByATokenWaitsForItsLastByte() {
    // Given
    Tokenizer tokenizer = GoldenTokenizer.of("spm-style").tokenizer();
    StreamingDetokenizer detokenizer = new StreamingDetokenizer(tokenizer);
    // When
    String first = detokenizer.push(id(tokenizer, "<0xE2>"));
    String second = detokenizer.push(id(tokenizer, "<0x82>"));
    String third = detokenizer.push(id(tokenizer, "<0xAC>"));
    // Then
    assertEquals("", first);
    assertEquals("", second);
    assertEquals("€", third);
  }

  @Test
  void everyPieceIsWholeCharacters() {
    // Given
    Tokenizer tokenizer = GoldenTokenizer.of("llama3-style").tokenizer();
    int[] ids = tokenizer.encode("👨‍👩‍👧‍👦 𝔘 नि 😀", true);
    StreamingDetokenizer detokenizer = new StreamingDetokenizer(tokenizer);
    for (int id : ids) {
      // When
      String piece = detokenizer.push(id);
      // Then
      assertFalse(piece.contains("\uFFFD"));
      assertEquals(
          piece.codePointCount(0, piece.length()),
          piece.codePoints().filter(c -> !(c >= 0xD800 && c <= 0xDFFF)).count());
    }
  }

  @Test
  void halfACharacterAtTheEndComesOutAsAReplacement() {
    // Given
    Tokenizer tokenizer = GoldenTokenizer.of("spm-style").tokenizer();
    StreamingDetokenizer detokenizer = new StreamingDetokenizer(tokenizer);
    String sent = detokenizer.push(id(tokenizer, "<0xF0>"));
    // When
    String rest = detokenizer.flush();
    // Then
    assertEquals("", sent);
    assertEquals("\uFFFD", rest);
  }

  private static String stream(Tokenizer tokenizer, int[] ids) {
    StreamingDetokenizer detokenizer = new StreamingDetokenizer(tokenizer);
    StringBuilder text = new StringBuilder();
    for (int id : ids) {
      text.append(detokenizer.push(id));
    }
    return text.append(detokenizer.flush()).toString();
  }

  private static int id(Tokenizer tokenizer, String token) {
    return tokenizer.tokenId(token).orElseThrow();
  }
}
