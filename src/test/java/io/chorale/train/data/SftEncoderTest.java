package io.chorale.train.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Labels against transformers' assistant masks, and what the encoder refuses. */
class SftEncoderTest {
  private static final TypeReference<List<Map<String, Object>>> MESSAGES = new TypeReference<>() {};
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String FORGETFUL =
      "{% for m in messages %}<|im_start|>{{ m.role }}\n"
          + "{% if m.role == 'assistant' and not loop.last %}(left out){% else %}{{ m.content }}{% endif %}"
          + "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
  private static final String ENDLESS =
      "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
          + "{% if add_generation_prompt %}assistant: {% endif %}";

  @TestFactory
  Stream<DynamicTest> idsAndLabelsAreThoseOfTransformers() {
    return StreamSupport.stream(SmolLm2.MASKS.path("cases").spliterator(), false)
        .map(
            golden ->
                DynamicTest.dynamicTest(
                    golden.path("template").asText() + " " + golden.path("messages"),
                    () -> compare(golden)));
  }

  private static void compare(JsonNode golden) throws UntrainableException {
    // Given
    String template = SmolLm2.MASKS.at("/templates/" + golden.path("template").asText()).asText();
    SftEncoder encoder =
        new SftEncoder(SmolLm2.source(template), PromptForm.CHAT_TEMPLATE, 100_000);
    JsonNode tools = golden.path("tools");
    // When
    SftExample example =
        encoder.encode(
            Conversation.of(
                JSON.convertValue(golden.path("messages"), MESSAGES),
                tools.isNull() ? null : JSON.convertValue(tools, MESSAGES)));
    // Then
    assertArrayEquals(JSON.convertValue(golden.path("ids"), int[].class), example.ids());
    StringBuilder mask = new StringBuilder();
    for (int i = 0; i < example.ids().length; i++) {
      int label = example.labels()[i];
      assertTrue(label == SftExample.IGNORE_INDEX || label == example.ids()[i]);
      mask.append(label == SftExample.IGNORE_INDEX ? '0' : '1');
    }
    assertEquals(golden.path("mask").asText(), mask.toString());
    assertEquals(-1, example.unendedTurn());
  }

  @Test
  void templateThatRewritesEarlierTurnsIsRefusedNamingTheTurn() {
    // Given
    SftEncoder encoder = new SftEncoder(SmolLm2.source(FORGETFUL), PromptForm.CHAT_TEMPLATE, 2048);
    // When
    var refused =
        assertThrows(
            UntrainableException.class,
            () -> encoder.encode(Conversation.of(turns("a", "b", "c", "d"), null)));
    // Then
    String text = refused.finding(Path.of("x.jsonl"), 7).text();
    assertTrue(text.startsWith("x.jsonl:7: error template: messages[1] the chat template"), text);
  }

  @Test
  void templateThatRefusesAConversationGivesItsOwnWords() {
    // Given
    SftEncoder encoder =
        new SftEncoder(
            SmolLm2.source("{{ raise_exception('no tools here') }}"),
            PromptForm.CHAT_TEMPLATE,
            2048);
    // When
    var refused =
        assertThrows(
            UntrainableException.class,
            () -> encoder.encode(Conversation.of(turns("a", "b"), null)));
    // Then
    assertTrue(refused.getMessage().contains("no tools here"), refused.getMessage());
  }

  @Test
  void answerThatNoEndTokenFollowsIsToldByItsTurn() throws UntrainableException {
    // Given
    SftEncoder encoder = new SftEncoder(SmolLm2.source(ENDLESS), PromptForm.CHAT_TEMPLATE, 2048);
    // When
    SftExample example = encoder.encode(Conversation.of(turns("a", "b", "c", "d"), null));
    // Then
    assertEquals(1, example.unendedTurn());
  }

  @Test
  void longRowIsCutAndKeepsItsFullLength() throws UntrainableException {
    // Given
    SftEncoder encoder = new SftEncoder(SmolLm2.source(), PromptForm.CHAT_TEMPLATE, 30);
    // When
    SftExample example = encoder.encode(Conversation.of(turns("hi", "word ".repeat(50)), null));
    // Then
    assertEquals(30, example.ids().length);
    assertTrue(example.fullTokens() > 60, "full length " + example.fullTokens());
    assertTrue(example.truncated());
  }

  @Test
  void instructionFormTrainsOnTheResponseAndItsEndTokenOnly() throws UntrainableException {
    // Given
    SftEncoder encoder = new SftEncoder(SmolLm2.source(), PromptForm.INSTRUCTION, 2048);
    // When
    SftExample example = encoder.encode(Conversation.alpaca("Be brief.", "Add", "1 and 2", "3."));
    // Then
    assertEquals(
        "Be brief.\n\n### Instruction:\nAdd\n\n### Input:\n1 and 2\n\n### Response:\n3.<|im_end|>",
        SmolLm2.TOKENIZER.decode(example.ids(), false));
    assertEquals("3.<|im_end|>", trained(example));
  }

  @Test
  void instructionFormOfSeveralTurnsTrainsOnEachResponse() throws UntrainableException {
    // Given
    SftEncoder encoder = new SftEncoder(SmolLm2.source(), PromptForm.INSTRUCTION, 2048);
    // When
    SftExample example = encoder.encode(Conversation.of(turns("a", "b", "c", "d"), null));
    // Then
    assertEquals(
        "### Instruction:\na\n\n### Response:\nb<|im_end|>"
            + "### Instruction:\nc\n\n### Response:\nd<|im_end|>",
        SmolLm2.TOKENIZER.decode(example.ids(), false));
    assertEquals("b<|im_end|>d<|im_end|>", trained(example));
  }

  @Test
  void plainTextIsTrainedOnWholeWithAnEndToken() throws UntrainableException {
    // Given
    SftEncoder encoder = new SftEncoder(SmolLm2.source(), PromptForm.CHAT_TEMPLATE, 2048);
    // When
    SftExample example = encoder.encode(Conversation.plain("Once upon a <|im_end|> time"));
    // Then
    int end = SmolLm2.TOKENIZER.tokenId("<|im_end|>").orElseThrow();
    assertArrayEquals(example.ids(), example.labels());
    assertEquals(1, Arrays.stream(example.ids()).filter(id -> id == end).count());
    assertEquals(end, example.ids()[example.ids().length - 1]);
  }

  @Test
  void modelWithoutChatTemplateIsToldOfTheOtherForm() {
    // Given
    var source = new SftEncoder.Source(SmolLm2.TOKENIZER, null, java.util.Set.of(2), false, -1);
    // When
    var refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> new SftEncoder(source, PromptForm.CHAT_TEMPLATE, 2048));
    // Then
    assertTrue(refused.getMessage().contains("--prompt-form instruction"), refused.getMessage());
  }

  private static String trained(SftExample example) {
    int[] ids = Arrays.stream(example.labels()).filter(l -> l != SftExample.IGNORE_INDEX).toArray();
    return SmolLm2.TOKENIZER.decode(ids, false);
  }

  private static List<Map<String, Object>> turns(String... contents) {
    List<Map<String, Object>> messages = new ArrayList<>();
    for (String content : contents) {
      String role = messages.size() % 2 == 0 ? "user" : "assistant";
      messages.add(Map.of("role", role, "content", content));
    }
    return messages;
  }
}
