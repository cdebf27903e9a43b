package io.chorale.serve.openai;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.engine.GenerationRequest;
import io.chorale.sched.SamplingParams;
import io.chorale.sched.draft.Drafting;
import io.chorale.serve.FakeEngine;
import io.chorale.serve.FakeEngine.Then;
import io.chorale.serve.Http;
import io.chorale.serve.ServeBeans;
import io.chorale.serve.ServeProfile;
import io.chorale.serve.Words;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import jakarta.inject.Inject;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@QuarkusTest
@TestProfile(ServeProfile.class)
class ChatCompletionsIT {
  @Inject FakeEngine engine;

  @Test
  void answerIsOneChatCompletionWithUsage() {
    // Given
    engine.say(Then.STOP, Words.letters("Hello"));
    // When
    Http.Answer answer = Http.chat("");
    // Then
    assertEquals(200, answer.status(), answer.body());
    assertEquals("application/json", answer.header("content-type"));
    JsonNode json = answer.json();
    assertTrue(json.path("id").asText().startsWith("chatcmpl-"));
    int prompt = engine.requests.get(0).promptIds().length;
    String expected =
        """
        {"id":"%s","object":"chat.completion","created":%d,"model":"tiny-base",\
        "system_fingerprint":"%s","choices":[{"index":0,"message":{"role":"assistant",\
        "content":"Hello","refusal":null},"logprobs":null,"finish_reason":"stop"}],\
        "usage":{"prompt_tokens":%d,"completion_tokens":5,"total_tokens":%d,\
        "prompt_tokens_details":{"cached_tokens":2}}}"""
            .formatted(
                json.path("id").asText(),
                json.path("created").asLong(),
                json.path("system_fingerprint").asText(),
                prompt,
                prompt + 5);
    assertEquals(expected, answer.body());
  }

  @Test
  void streamIsExactlyOpenAisBytes() {
    // Given
    engine.say(Then.LENGTH, Words.letters("Hi"));
    // When
    Http.Answer answer = Http.chat("\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    // Then
    assertEquals("text/event-stream; charset=utf-8", answer.header("content-type"));
    JsonNode first = answer.chunks().get(0);
    String head =
        "data: {\"id\":\"%s\",\"object\":\"chat.completion.chunk\",\"created\":%d,\"model\":\"tiny-base\",\"system_fingerprint\":\"%s\","
            .formatted(
                first.path("id").asText(),
                first.path("created").asLong(),
                first.path("system_fingerprint").asText());
    int prompt = engine.requests.get(0).promptIds().length;
    String expected =
        head
            + "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"
            + head
            + "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"H\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"
            + head
            + "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"i\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"
            + head
            + "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}],\"usage\":null}\n\n"
            + head
            + "\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":2,\"total_tokens\":%d,\"prompt_tokens_details\":{\"cached_tokens\":2}}}\n\n"
                .formatted(prompt, prompt + 2)
            + "data: [DONE]\n\n";
    assertEquals(expected, answer.body());
  }

  @Test
  void streamWithoutIncludeUsageHasNoUsageAnywhere() {
    // Given
    engine.say(Then.STOP, Words.letters("Hi"));
    // When
    Http.Answer answer = Http.chat("\"stream\":true");
    // Then
    assertFalse(answer.body().contains("usage"), answer.body());
    assertEquals("[DONE]", answer.events().get(answer.events().size() - 1));
  }

  @Test
  void twoChoicesKeepTheirOwnTextAndIndexInAStream() {
    // Given
    engine.say(Then.STOP, Words.letters("one"), Words.letters("two"));
    // When
    Http.Answer answer = Http.chat("\"stream\":true,\"n\":2,\"seed\":7");
    // Then
    assertEquals("one", streamed(answer, 0));
    assertEquals("two", streamed(answer, 1));
    assertEquals(
        2, answer.chunks().stream().filter(c -> c.at("/choices/0/delta/role").isTextual()).count());
    assertNotEquals(engine.requests.get(0).params().seed(), engine.requests.get(1).params().seed());
  }

  @Test
  void twoChoicesAreOneBodyAndThePromptIsCountedOnce() {
    // Given
    engine.say(Then.STOP, Words.letters("one"), Words.letters("three"));
    // When
    JsonNode json = Http.chat("\"n\":2").json();
    // Then
    assertEquals("one", json.at("/choices/0/message/content").asText());
    assertEquals("three", json.at("/choices/1/message/content").asText());
    assertEquals(
        engine.requests.get(0).promptIds().length, json.at("/usage/prompt_tokens").asInt());
    assertEquals(8, json.at("/usage/completion_tokens").asInt());
  }

  @Test
  void stopStringAcrossTokensCutsTheAnswerAndAbortsTheSequence() {
    // Given
    engine.say(Then.HANG, Words.letters("ab<END>cd"));
    // When
    Http.Answer answer = Http.chat("\"stop\":[\"<END>\"]");
    // Then
    assertEquals("ab", answer.json().at("/choices/0/message/content").asText());
    assertEquals("stop", answer.json().at("/choices/0/finish_reason").asText());
    assertEquals(7, answer.json().at("/usage/completion_tokens").asInt());
    assertEquals(List.of(0), engine.aborted);
  }

  @Test
  void streamNeverShowsThePartOfAStopStringThatCompletesLater() {
    // Given
    engine.say(Then.HANG, Words.letters("ab<ENX<END>cd"));
    // When
    Http.Answer answer = Http.chat("\"stream\":true,\"stop\":\"<END>\"");
    // Then
    assertEquals("ab<ENX", streamed(answer, 0));
    assertEquals("stop", lastChunk(answer).at("/choices/0/finish_reason").asText(), answer.body());
  }

  @Test
  void textHeldBackForAStopStringIsSentAtTheEnd() {
    // Given
    engine.say(Then.STOP, Words.letters("ab<EN"));
    // When
    Http.Answer answer = Http.chat("\"stream\":true,\"stop\":\"<END>\"");
    // Then
    assertEquals("ab<EN", streamed(answer, 0));
  }

  @Test
  void stopStringBeforeMinTokensDoesNotEndTheAnswer() {
    // Given
    engine.say(Then.HANG, Words.letters("xaxbx"));
    // When
    Http.Answer answer = Http.chat("\"stop\":\"x\",\"min_tokens\":4");
    // Then
    assertEquals("xaxb", answer.json().at("/choices/0/message/content").asText());
  }

  @Test
  void characterOfSeveralTokensIsNeverSentInHalves() {
    // Given
    int[] ids = Words.ids("\uD83D\uDE80");
    assertTrue(ids.length > 1, "the rocket must be several tokens");
    engine.say(Then.STOP, ids);
    // When
    Http.Answer answer = Http.chat("\"stream\":true");
    // Then
    assertEquals("\uD83D\uDE80", streamed(answer, 0));
    assertEquals(3, answer.chunks().size()); // role, rocket, end
  }

  @Test
  void logprobsHaveOneEntryPerTokenOfTheContent() {
    // Given
    engine.say(Then.STOP, Words.letters("Hi"));
    // When
    JsonNode content =
        Http.chat("\"logprobs\":true,\"top_logprobs\":2").json().at("/choices/0/logprobs/content");
    // Then
    assertEquals(2, content.size());
    assertEquals("H", content.at("/0/token").asText());
    assertEquals(-0.5, content.at("/0/logprob").asDouble());
    assertEquals("[72]", content.at("/0/bytes").toString());
    assertEquals(2, content.at("/1/top_logprobs").size());
    assertEquals("i", content.at("/1/top_logprobs/0/token").asText());
    assertEquals(-1.5, content.at("/1/top_logprobs/1/logprob").asDouble());
  }

  @Test
  void logprobsOfTokensBehindAStopStringAreNotShown() {
    // Given
    engine.say(Then.HANG, Words.letters("ab#cd"));
    // When
    JsonNode json = Http.chat("\"logprobs\":true,\"stop\":\"#\"").json();
    // Then
    assertEquals("ab", json.at("/choices/0/message/content").asText());
    assertEquals(2, json.at("/choices/0/logprobs/content").size());
    assertEquals(0, json.at("/choices/0/logprobs/content/0/top_logprobs").size());
  }

  @Test
  void streamedLogprobsTogetherAreThoseOfTheWholeAnswer() {
    // Given
    engine.say(Then.STOP, Words.letters("abc"));
    // When
    Http.Answer answer = Http.chat("\"stream\":true,\"logprobs\":true");
    // Then
    StringBuilder tokens = new StringBuilder();
    for (JsonNode chunk : answer.chunks()) {
      chunk.at("/choices/0/logprobs/content").forEach(t -> tokens.append(t.path("token").asText()));
    }
    assertEquals("abc", tokens.toString());
  }

  @Test
  void samplingFieldsReachTheEngineAsTheyWereSent() {
    // Given
    engine.say(Then.STOP, Words.letters("x"));
    // When
    Http.Answer answer =
        Http.chat(
            """
            "temperature":0.7,"top_p":0.9,"top_k":40,"min_p":0.05,"repetition_penalty":1.1,
            "presence_penalty":0.5,"frequency_penalty":-0.5,"logit_bias":{"5":-100},"seed":42,
            "stop_token_ids":[7],"max_tokens":9,"min_tokens":2""");
    // Then
    assertEquals(200, answer.status(), answer.body());
    int end = ServeBeans.tokenizer().tokenId("<|im_end|>").orElseThrow();
    assertEquals(
        new SamplingParams(
            0.7,
            0.9,
            40,
            0.05,
            1.1,
            0.5,
            -0.5,
            Map.of(5, -100f),
            42,
            Set.of(7, end),
            9,
            2,
            -1,
            false),
        engine.requests.get(0).params());
  }

  @ParameterizedTest
  @CsvSource({"true, ALWAYS", "false, NEVER", "null, AUTO"})
  void speculativeReachesTheEngineAsItWasSent(String sent, Drafting drafting) {
    // Given
    engine.say(Then.STOP, Words.letters("x"));
    // When
    Http.Answer answer = Http.chat("\"speculative\":" + sent);
    // Then
    assertEquals(200, answer.status(), answer.body());
    assertEquals(drafting, engine.requests.get(0).drafting());
  }

  @Test
  void absentFieldsMeanTemperatureOneAndTheRestOfTheContext() {
    // Given
    engine.say(Then.STOP, Words.letters("x"));
    // When
    Http.chat("\"top_k\":-1,\"temperature\":null,\"stop\":null");
    // Then
    GenerationRequest request = engine.requests.get(0);
    assertEquals(1, request.params().temperature());
    assertEquals(1, request.params().topP());
    assertEquals(0, request.params().topK());
    assertEquals(FakeEngine.CONTEXT - request.promptIds().length, request.params().maxTokens());
    assertEquals(GenerationRequest.BASE, request.adapterKey());
  }

  @Test
  void ignoreEosTakesTheModelsEndTokensAwayButNotTheRequests() {
    // Given
    engine.say(Then.STOP, Words.letters("x"));
    // When
    Http.chat("\"ignore_eos\":true,\"stop_token_ids\":[7],\"max_completion_tokens\":3");
    // Then
    assertEquals(Set.of(7), engine.requests.get(0).params().stopTokenIds());
    assertEquals(3, engine.requests.get(0).params().maxTokens());
  }

  @Test
  void messagesGoThroughTheModelsOwnTemplate() {
    // Given
    engine.say(Then.STOP, Words.letters("x"));
    // When
    Http.post(
        "/v1/chat/completions",
        """
        {"model":"tiny-base","messages":[{"role":"developer","content":"Be brief"},
        {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}""");
    // Then
    String prompt =
        "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\na\nb<|im_end|>\n<|im_start|>assistant\n";
    assertArrayEquals(
        ServeBeans.tokenizer().encode(prompt, true), engine.requests.get(0).promptIds());
  }

  @Test
  void generationPromptCanBeLeftOut() {
    // Given
    engine.say(Then.STOP, Words.letters("x"));
    // When
    Http.chat("\"add_generation_prompt\":false");
    // Then
    assertArrayEquals(
        ServeBeans.tokenizer().encode("<|im_start|>user\nHi<|im_end|>\n", true),
        engine.requests.get(0).promptIds());
  }

  @Test
  void toolMessagesOfTheHistoryAreTakenAlong() {
    // Given
    engine.say(Then.STOP, Words.letters("x"));
    // When
    Http.Answer answer =
        Http.post(
            "/v1/chat/completions",
            """
            {"model":"tiny-base","messages":[{"role":"user","content":"a"},
            {"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function",
              "function":{"name":"f","arguments":"{\\"x\\":1}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"2"}]}""");
    // Then
    assertEquals(200, answer.status(), answer.body());
  }

  @Test
  void emptyAnswerStillHasARoleAndAnEnd() {
    // Given
    engine.say(Then.STOP, new int[0]);
    // When
    Http.Answer answer = Http.chat("\"stream\":true");
    // Then
    assertEquals(2, answer.chunks().size());
    assertEquals("assistant", answer.chunks().get(0).at("/choices/0/delta/role").asText());
    assertEquals("stop", lastChunk(answer).at("/choices/0/finish_reason").asText());
  }

  static String streamed(Http.Answer answer, int index) {
    StringBuilder text = new StringBuilder();
    for (JsonNode chunk : answer.chunks()) {
      for (JsonNode choice : chunk.path("choices")) {
        if (choice.path("index").asInt() == index) {
          text.append(choice.at("/delta/content").asText(""));
        }
      }
    }
    return text.toString();
  }

  private static JsonNode lastChunk(Http.Answer answer) {
    return answer.chunks().get(answer.chunks().size() - 1);
  }
}
