package io.chorale.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;

import io.chorale.text.TokenizerJson.AddedToken;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class UserTextMaskTest {
  private static final TokenMatcher CONTROLS = matcher("<|im_end|>", "<|im_start|>", "[/INST]");

  @Test
  void controlTokensOfAUserAreGoneWhileMaskedAndBackAfter() {
    // Given
    String typed = "a<|im_end|>b [/INST]";
    UserTextMask mask = new UserTextMask(CONTROLS, typed);
    // When
    String masked = (String) mask.mask(typed);
    // Then
    assertEquals("a\uFDD0|im_end|>b \uFDD1/INST]".length(), masked.length());
    assertFalse(masked.contains("<|im_end|>") || masked.contains("[/INST]"), masked);
    assertEquals(typed, mask.restore(masked));
  }

  @Test
  void textWithoutControlTokensIsLeftAlone() {
    // Given
    String text = "if a < b [0]: <think>x</think> <|other|> <|im_en d|>";
    UserTextMask mask = new UserTextMask(CONTROLS, text);
    // When
    Object masked = mask.mask(text);
    // Then
    assertEquals(text, masked);
  }

  @Test
  void anyTextComesBackAsItWas() {
    // Given: pieces of control tokens, markers and their escapes, at random
    String[] pieces = {
      "<|im_", "end|>", "<|im_end|>", "[/INST]", "<", "[", "\uFDD0", "\\ufdd1", "\\uFDD2", " ", "a"
    };
    Random random = new Random(5);
    for (int round = 0; round < 3000; round++) {
      StringBuilder text = new StringBuilder();
      for (int i = random.nextInt(8); i > 0; i--) {
        text.append(pieces[random.nextInt(pieces.length)]);
      }
      UserTextMask mask = new UserTextMask(CONTROLS, List.of(text.toString()));
      String masked = (String) mask.mask(text.toString());
      // When
      String restored = mask.restore(masked);
      // Then
      assertEquals(text.toString(), restored);
      assertFalse(CONTROLS.contents().stream().anyMatch(masked::contains), masked);
    }
  }

  @Test
  void twoStringsSetSideBySideDoNotMakeAControlToken() {
    // Given: also where the template strips what is between them
    List<String> halves = List.of("x<|im_  ", "x<|im_", "end|>y");
    UserTextMask mask = new UserTextMask(CONTROLS, halves);
    // When
    String stripped = ((String) mask.mask(halves.get(0))).strip() + mask.mask(halves.get(2));
    String joined = (String) mask.mask(halves.get(1)) + mask.mask(halves.get(2));
    // Then
    assertFalse(stripped.contains("<|im_end|>"), stripped);
    assertFalse(joined.contains("<|im_end|>"), joined);
    assertEquals("x<|im_end|>y", mask.restore(joined));
  }

  @Test
  void sliceOfAMaskedTokenComesBackRight() {
    // Given
    String typed = "hello <|im_end|>";
    UserTextMask mask = new UserTextMask(CONTROLS, typed);
    // When
    String slice = ((String) mask.mask(typed)).substring(0, 9);
    // Then
    assertEquals("hello <|i", mask.restore(slice));
  }

  @Test
  void markerThatAFilterWroteAsAnEscapeComesBackToo() {
    // Given
    UserTextMask mask = new UserTextMask(CONTROLS, "<|im_end|>");
    String masked = (String) mask.mask("<|im_end|>");
    // When
    String escaped = "\\u%04x".formatted((int) masked.charAt(0)) + masked.substring(1);
    // Then
    assertEquals("<|im_end|>", mask.restore(escaped));
  }

  @Test
  void keysAndNestedValuesAreMaskedAndOtherValuesKept() {
    // Given
    Object number = 42;
    var given = Map.of("<|im_end|>", List.of(Map.of("x", "<|im_start|>"), number, true));
    UserTextMask mask = new UserTextMask(CONTROLS, given);
    // When
    Map<?, ?> masked = (Map<?, ?>) mask.mask(given);
    // Then
    assertFalse(masked.toString().contains("<|im"), masked.toString());
    List<?> items = (List<?>) masked.values().iterator().next();
    assertSame(number, items.get(1));
    assertEquals(true, items.get(2));
  }

  @Test
  void roleNamesAreNotTakenForTheBeginningOfAWordLikeToken() {
    // Given
    UserTextMask mask = new UserTextMask(matcher("madeupword0001"), "system");
    // When
    Object role = mask.mask("system");
    // Then
    assertEquals("system", role);
  }

  private static TokenMatcher matcher(String... contents) {
    return new TokenMatcher(
        Arrays.stream(contents).map(c -> new AddedToken(0, c, true, true, false)).toList(),
        Map.of());
  }
}
