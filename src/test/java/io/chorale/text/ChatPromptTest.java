package io.chorale.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ChatPromptTest {
  private static final TypeReference<List<Map<String, Object>>> MAPS = new TypeReference<>() {};

  @ParameterizedTest
  @CsvSource({
    "smollm2, chats",
    "llama3-style, chats",
    "qwen2-style, chats",
    "spm-style, chats",
    "spm-legacy, chats",
    "spm-legacy, typed",
    "smollm2, typed",
    "llama3-style, typed",
    "qwen2-style, typed",
    "spm-style, typed"
  })
  void promptIdsAreThoseOfTransformers(String name, String kind) throws TemplateException {
    // Given
    GoldenTokenizer golden = GoldenTokenizer.of(name);
    ChatPrompt prompt = prompt(golden, golden.golden().path("template").asText());
    assertTrue(golden.golden().path(kind).size() >= 8);
    for (JsonNode chat : golden.golden().path(kind)) {
      // When
      int[] ids =
          prompt.encode(
              maps(chat.path("messages")),
              chat.path("tools").isNull() ? null : maps(chat.path("tools")),
              chat.path("generate").asBoolean(),
              Map.of());
      // Then
      assertArrayEquals(
          GoldenTokenizer.ints(chat.path("ids")), ids, chat.path("messages").toString());
    }
  }

  @Test
  void userWhoTypesControlTokensCannotOpenATurnInAnyField() throws TemplateException {
    // Given: pieces and whole control tokens in role, content, tool names and keys, at random
    GoldenTokenizer golden = GoldenTokenizer.of("qwen2-style");
    ChatPrompt prompt = prompt(golden, golden.golden().path("template").asText());
    List<Map<String, Object>> harmless = List.of(Map.of("role", "user", "content", "x"));
    Map<Integer, Long> expected =
        controls(
            golden.tokenizer(),
            prompt.encode(harmless, List.of(Map.of("name", "x")), true, Map.of()));
    String[] pieces = {
      "<|im_end|>", "<|im_start|>", "<|im_", "start|>", "<", "|", " ", "\n", "a", "\uFDD0"
    };
    Random random = new Random(3);
    for (int round = 0; round < 500; round++) {
      List<Map<String, Object>> messages =
          List.of(Map.of("role", typed(random, pieces), "content", typed(random, pieces)));
      List<Map<String, Object>> tools =
          List.of(Map.of(typed(random, pieces), typed(random, pieces)));
      // When
      int[] ids = prompt.encode(messages, tools, true, Map.of());
      // Then
      assertEquals(expected, controls(golden.tokenizer(), ids), messages + " " + tools);
    }
  }

  @Test
  void typedControlTokenIsStillThereAsText() throws TemplateException {
    // Given
    GoldenTokenizer golden = GoldenTokenizer.of("smollm2");
    ChatPrompt prompt = prompt(golden, "{{ bos_token }}{{ messages[0].content | trim }}");
    // When
    int[] ids = prompt.encode(user("  say <|im_start|>!  "), null, false, Map.of());
    // Then
    assertEquals("say <|im_start|>!", golden.tokenizer().decode(ids, true));
    assertEquals(golden.tokenizer().tokenId("<|im_start|>").orElseThrow(), ids[0]);
  }

  @Test
  void templateThatBuildsAControlTokenAroundARoleKeepsIt() throws TemplateException {
    // Given: Phi and Zephyr style
    GoldenTokenizer golden = GoldenTokenizer.of("qwen2-style");
    ChatPrompt prompt = prompt(golden, "{{ '<|' + messages[0].role + '|>' }}");
    // When
    int[] ids =
        prompt.encode(List.of(Map.of("role", "im_end", "content", "")), null, false, Map.of());
    // Then
    assertArrayEquals(new int[] {golden.tokenizer().tokenId("<|im_end|>").orElseThrow()}, ids);
  }

  @Test
  void extraArgumentsAreSeenAndTheirControlTokensAreText() throws TemplateException {
    // Given
    GoldenTokenizer golden = GoldenTokenizer.of("smollm2");
    ChatPrompt prompt =
        prompt(
            golden, "{% if tools is none and think %}{{ note }}{{ messages | length }}{% endif %}");
    Map<String, Object> extra = new HashMap<>(Map.of("think", true, "note", "<|im_end|>"));
    extra.put("messages", List.of());
    // When
    int[] ids = prompt.encode(user("x"), null, false, extra);
    // Then
    assertArrayEquals(golden.tokenizer().encode("<|im_end|>1", false), ids);
  }

  @Test
  void nullFieldsAreUndefinedAndThoughtsGoByBothNames() throws TemplateException {
    GoldenTokenizer golden = GoldenTokenizer.of("qwen2-style");
    ChatPrompt prompt =
        prompt(
            golden,
            "{{ messages[0].content is defined }} {{ messages[0].thinking }} "
                + "{{ messages[0].reasoning_content }}");
    Map<String, Object> message = new HashMap<>(Map.of("role", "assistant", "reasoning", "hm"));
    message.put("content", null);
    int[] ids = prompt.encode(List.of(message), null, false, Map.of());
    assertEquals("False hm hm", golden.tokenizer().decode(ids, false));
  }

  @Test
  void halfACharacterInAMessageIsRefused() throws TemplateException {
    // Given
    GoldenTokenizer golden = GoldenTokenizer.of("smollm2");
    ChatPrompt prompt = prompt(golden, "{{ messages[0].content }}");
    // When
    var error =
        assertThrows(
            IllegalArgumentException.class,
            () -> prompt.encode(user("ab\ud83d"), null, false, Map.of()));
    // Then
    assertTrue(error.getMessage().contains("at char 2"), error.getMessage());
  }

  private static ChatPrompt prompt(GoldenTokenizer golden, String template)
      throws TemplateException {
    return new ChatPrompt(
        golden.tokenizer(),
        ChatTemplate.parse(template),
        Map.of(
            "bos_token", golden.golden().path("bos").asText(),
            "eos_token", golden.golden().path("eos").asText()));
  }

  private static List<Map<String, Object>> user(String content) {
    return List.of(Map.of("role", "user", "content", content));
  }

  private static List<Map<String, Object>> maps(JsonNode array) {
    return GoldenTokenizer.MAPPER.convertValue(array, MAPS);
  }

  private static String typed(Random random, String[] pieces) {
    return IntStream.range(0, random.nextInt(6))
        .mapToObj(i -> pieces[random.nextInt(pieces.length)])
        .collect(Collectors.joining());
  }

  private static Map<Integer, Long> controls(Tokenizer tokenizer, int[] ids) {
    return Arrays.stream(ids)
        .filter(tokenizer::isSpecial)
        .boxed()
        .collect(Collectors.groupingBy(id -> id, Collectors.counting()));
  }
}
