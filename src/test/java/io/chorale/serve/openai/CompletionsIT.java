package io.chorale.serve.openai;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.serve.FakeEngine;
import io.chorale.serve.FakeEngine.Then;
import io.chorale.serve.Http;
import io.chorale.serve.ServeBeans;
import io.chorale.serve.ServeProfile;
import io.chorale.serve.Words;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import jakarta.inject.Inject;
import org.junit.jupiter.api.Test;

@QuarkusTest
@TestProfile(ServeProfile.class)
class CompletionsIT {
  @Inject FakeEngine engine;

  @Test
  void answerIsOneTextCompletion() {
    // Given
    engine.say(Then.LENGTH, Words.letters("Hi"));
    // When
    Http.Answer answer = Http.complete("\"prompt\":\"abc\",\"max_tokens\":2");
    // Then
    JsonNode json = answer.json();
    int prompt = engine.requests.get(0).promptIds().length;
    assertTrue(json.path("id").asText().startsWith("cmpl-"));
    assertEquals(
        """
        {"id":"%s","object":"text_completion","created":%d,"model":"tiny-base",\
        "system_fingerprint":"%s","choices":[{"text":"Hi","index":0,"logprobs":null,\
        "finish_reason":"length"}],"usage":{"prompt_tokens":%d,"completion_tokens":2,\
        "total_tokens":%d,"prompt_tokens_details":{"cached_tokens":2}}}"""
            .formatted(
                json.path("id").asText(),
                json.path("created").asLong(),
                json.path("system_fingerprint").asText(),
                prompt,
                prompt + 2),
        answer.body());
  }

  @Test
  void streamHasTextChunksAndOneEnd() {
    // Given
    engine.say(Then.STOP, Words.letters("Hi"));
    // When
    Http.Answer answer =
        Http.complete(
            "\"prompt\":\"abc\",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    // Then
    assertEquals(5, answer.events().size(), answer.body());
    assertEquals("H", answer.chunks().get(0).at("/choices/0/text").asText());
    assertEquals("i", answer.chunks().get(1).at("/choices/0/text").asText());
    assertEquals("stop", answer.chunks().get(2).at("/choices/0/finish_reason").asText());
    assertEquals(2, answer.chunks().get(3).at("/usage/completion_tokens").asInt());
    assertEquals("[DONE]", answer.events().get(4));
  }

  @Test
  void promptMayBeTextTokensOrListsOfThem() {
    // Given
    int[] ids = ServeBeans.tokenizer().encode("abc", true);
    String json = java.util.Arrays.toString(ids);
    for (String prompt :
        new String[] {"\"abc\"", "[\"abc\"]", json, "[" + json + "]", "[\"abc\"," + json + "]"}) {
      engine.say(Then.STOP, Words.letters("x"));
      // When
      Http.Answer answer = Http.complete("\"prompt\":" + prompt);
      // Then
      assertEquals(200, answer.status(), prompt + answer.body());
      assertArrayEquals(ids, engine.requests.get(0).promptIds(), prompt);
    }
  }

  @Test
  void choicesOfSeveralPromptsFollowTheirPrompts() {
    // Given
    engine.say(
        Then.STOP, Words.letters("a"), Words.letters("b"), Words.letters("c"), Words.letters("d"));
    // When
    JsonNode json = Http.complete("\"prompt\":[\"x\",\"yz!\"],\"n\":2").json();
    // Then
    assertEquals(4, json.path("choices").size());
    assertEquals("c", json.at("/choices/2/text").asText());
    assertEquals(2, json.at("/choices/2/index").asInt());
    assertEquals(
        engine.requests.get(0).promptIds().length + engine.requests.get(2).promptIds().length,
        json.at("/usage/prompt_tokens").asInt());
  }

  @Test
  void specialTokensOfARawPromptAreTokens() {
    // Given
    engine.say(Then.STOP, Words.letters("x"));
    // When
    Http.complete("\"prompt\":\"<|im_start|>\"");
    // Then
    assertArrayEquals(
        new int[] {ServeBeans.tokenizer().tokenId("<|im_start|>").orElseThrow()},
        engine.requests.get(0).promptIds());
  }

  @Test
  void echoPutsThePromptInFrontOfTheText() {
    // Given
    engine.say(Then.STOP, Words.letters("Hi"));
    // When
    Http.Answer whole = Http.complete("\"prompt\":\"ab \",\"echo\":true");
    Http.Answer stream = Http.complete("\"prompt\":\"ab \",\"echo\":true,\"stream\":true");
    // Then
    assertEquals("ab Hi", whole.json().at("/choices/0/text").asText());
    assertEquals("ab ", stream.chunks().get(0).at("/choices/0/text").asText());
  }

  @Test
  void oneTokenAfterAScoredPromptIsReportedEvenIfItEndsTheText() {
    // Given
    engine.say(Then.LENGTH, Words.letters("x"));
    // When
    Http.complete("\"prompt\":\"abc\",\"echo\":true,\"logprobs\":1,\"max_tokens\":1");
    Http.complete("\"prompt\":\"abc\",\"echo\":true,\"logprobs\":1,\"max_tokens\":2");
    // Then
    assertTrue(engine.requests.get(0).params().stopTokenIds().isEmpty());
    assertEquals(
        false, engine.requests.get(1).params().stopTokenIds().isEmpty(), "answers still end");
  }

  @Test
  void echoWithLogprobsBeginsWithThePromptsOwn() {
    // Given
    engine.say(Then.STOP, Words.letters("Hi"));
    int[] prompt = Words.letters("abc");
    // When
    JsonNode logprobs =
        Http.complete(
                "\"prompt\":%s,\"echo\":true,\"logprobs\":1"
                    .formatted(java.util.Arrays.toString(prompt)))
            .json()
            .at("/choices/0/logprobs");
    // Then
    assertEquals("[\"a\",\"b\",\"c\",\"H\",\"i\"]", logprobs.path("tokens").toString());
    assertEquals("[null,-0.5,-0.5,-0.5,-0.5]", logprobs.path("token_logprobs").toString());
    assertEquals("[0,1,2,3,4]", logprobs.path("text_offset").toString());
    assertTrue(logprobs.at("/top_logprobs/0").isNull());
    assertEquals("{\"H\":-0.5}", logprobs.at("/top_logprobs/3").toString());
  }

  @Test
  void echoOfNoTokensScoresThePromptAlone() {
    // Given
    engine.say(Then.LENGTH, Words.letters("H"));
    // When
    JsonNode json =
        Http.complete("\"prompt\":\"ab\",\"echo\":true,\"logprobs\":0,\"max_tokens\":0").json();
    // Then
    assertEquals("ab", json.at("/choices/0/text").asText());
    assertEquals("length", json.at("/choices/0/finish_reason").asText());
    assertEquals(0, json.at("/usage/completion_tokens").asInt());
    assertEquals(
        engine.requests.get(0).promptIds().length, json.at("/choices/0/logprobs/tokens").size());
  }

  @Test
  void suffixIsRefusedUnlessEmpty() {
    // Given
    engine.say(Then.STOP, Words.letters("x"));
    // When
    Http.Answer refused = Http.complete("\"prompt\":\"a\",\"suffix\":\"b\"");
    Http.Answer empty = Http.complete("\"prompt\":\"a\",\"suffix\":\"\",\"best_of\":1");
    // Then
    assertEquals(400, refused.status());
    assertEquals("suffix", refused.errorParam());
    assertEquals(200, empty.status(), empty.body());
  }
}
