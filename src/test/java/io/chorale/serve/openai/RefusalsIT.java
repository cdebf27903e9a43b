package io.chorale.serve.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.serve.FakeEngine;
import io.chorale.serve.FakeEngine.Then;
import io.chorale.serve.Http;
import io.chorale.serve.ServeBeans;
import io.chorale.serve.ServeProfile;
import io.chorale.serve.Words;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import jakarta.inject.Inject;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every answer that is not the model's. */
@QuarkusTest
@TestProfile(ServeProfile.class)
class RefusalsIT {
  private static final String CHAT = "/v1/chat/completions";

  @Inject FakeEngine engine;

  @BeforeEach
  void engineAnswers() {
    engine.say(Then.STOP, Words.letters("ok"));
  }

  @Test
  void unknownModelIs404InOpenAisWords() {
    // When
    Http.Answer answer = Http.chatWith("nobody", "");
    // Then
    assertEquals(404, answer.status());
    assertEquals("model_not_found", answer.errorCode());
    assertEquals("model", answer.errorParam());
    assertEquals("invalid_request_error", answer.json().at("/error/type").asText());
    assertTrue(answer.errorMessage().startsWith("The model 'nobody' does not exist"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "temprature | \"temprature\":1 | unknown_parameter",
        "tools | \"tools\":[{\"type\":\"function\"}] | unsupported_parameter",
        "functions | \"functions\":[{\"name\":\"f\"}] | unsupported_parameter",
        "tool_choice | \"tool_choice\":\"required\" | unsupported_value",
        "response_format | \"response_format\":{\"type\":\"json_object\"} | unsupported_value",
        "audio | \"audio\":{\"voice\":\"x\"} | unsupported_parameter",
        "modalities | \"modalities\":[\"text\",\"audio\"] | unsupported_value",
        "prediction | \"prediction\":{\"type\":\"content\"} | unsupported_parameter",
        "reasoning_effort | \"reasoning_effort\":\"high\" | unsupported_value",
        "verbosity | \"verbosity\":\"low\" | unsupported_value",
        "service_tier | \"service_tier\":\"flex\" | unsupported_value",
        "guided_json | \"guided_json\":{\"a\":1} | unsupported_parameter",
        "continue_final_message | \"continue_final_message\":true | unsupported_value",
        "best_of | \"best_of\":2 | unsupported_value",
        "temperature | \"temperature\":\"hot\" | invalid_type",
        "temperature | \"temperature\":3 | invalid_value",
        "top_p | \"top_p\":0 | invalid_value",
        "n | \"n\":0 | invalid_value",
        "n | \"n\":1.5 | invalid_type",
        "stream | \"stream\":\"yes\" | invalid_type",
        "stream_options | \"stream_options\":{\"include_usage\":true} | invalid_value",
        "stop | \"stop\":[\"\"] | invalid_value",
        "stop | \"stop\":5 | invalid_type",
        "max_tokens | \"max_tokens\":0 | invalid_value",
        "top_logprobs | \"top_logprobs\":2 | invalid_value",
        "top_logprobs | \"logprobs\":true,\"top_logprobs\":21 | invalid_value",
        "logit_bias | \"logit_bias\":{\"999999\":1} | invalid_value",
        "logit_bias | \"logit_bias\":{\"1\":101} | invalid_value",
        "speculative | \"speculative\":\"on\" | invalid_type",
        "stop_token_ids | \"stop_token_ids\":[-1] | invalid_value",
        "min_tokens | \"min_tokens\":5,\"max_tokens\":2 | invalid_value",
        "messages | \"messages\":[] | invalid_value",
        "messages[0].role | \"messages\":[{\"role\":\"king\",\"content\":\"x\"}] | invalid_value",
        "messages[0].content | \"messages\":[{\"role\":\"user\"}] | missing_required_parameter",
        "messages[0].mood | \"messages\":[{\"role\":\"user\",\"content\":\"x\",\"mood\":1}] | unknown_parameter",
        "messages[0].content[0] | \"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}] | unsupported_value",
        "user_text | \"user_text\":1 | unknown_parameter"
      })
  void fieldThatCannotBeHonouredIs400AndNamed(String param, String field, String code) {
    // When
    String messages =
        field.contains("\"messages\"")
            ? ""
            : "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],";
    Http.Answer answer = Http.post(CHAT, "{\"model\":\"tiny-base\"," + messages + field + "}");
    // Then
    assertEquals(400, answer.status(), answer.body());
    assertEquals(code, answer.errorCode(), answer.body());
    assertEquals(param, answer.errorParam(), answer.body());
    assertTrue(engine.requests.isEmpty());
  }

  @Test
  void misspeltFieldGetsASuggestion() {
    // When
    Http.Answer answer = Http.chat("\"temprature\":1");
    // Then
    assertEquals(
        "Unknown parameter: 'temprature'. Did you mean 'temperature'?", answer.errorMessage());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"tools\":[]",
        "\"tool_choice\":\"none\"",
        "\"tool_choice\":\"auto\"",
        "\"parallel_tool_calls\":true",
        "\"functions\":[]",
        "\"function_call\":\"auto\"",
        "\"response_format\":{\"type\":\"text\"}",
        "\"modalities\":[\"text\"]",
        "\"logit_bias\":{}",
        "\"audio\":null",
        "\"prediction\":null",
        "\"best_of\":1",
        "\"user\":\"me\"",
        "\"metadata\":{\"a\":\"b\"}",
        "\"store\":false",
        "\"service_tier\":\"auto\"",
        "\"safety_identifier\":\"x\"",
        "\"prompt_cache_key\":\"x\"",
        "\"prompt_cache_retention\":\"24h\"",
        "\"request_id\":\"x\"",
        "\"priority\":0",
        "\"reasoning_effort\":\"none\"",
        "\"verbosity\":\"medium\"",
        "\"use_beam_search\":false",
        "\"length_penalty\":1.0",
        "\"skip_special_tokens\":true",
        "\"spaces_between_special_tokens\":true",
        "\"include_stop_str_in_output\":false",
        "\"return_token_ids\":false",
        "\"echo\":false",
        "\"continue_final_message\":false",
        "\"add_special_tokens\":false",
        "\"stop\":null",
        "\"stream_options\":null",
        "\"chat_template_kwargs\":{}",
        "\"stream\":true,\"stream_options\":{\"include_obfuscation\":true}"
      })
  void fieldThatChangesNothingIsAccepted(String field) {
    // When
    Http.Answer answer = Http.chat(field);
    // Then
    assertEquals(200, answer.status(), answer.body());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"model\":\"tiny-base\",\"messages\":[{\"role\":\"user\"",
        "{\"model\":\"tiny-base\"}} ",
        "{\"model\":\"a\",\"model\":\"b\"}",
        "[]",
        "\"text\"",
        "",
        "{'model':1}",
        "nul"
      })
  void bodyThatIsNotOneJsonObjectIs400WithoutJavaNames(String body) {
    // When
    Http.Answer answer = Http.post(CHAT, body);
    // Then
    assertEquals(400, answer.status(), answer.body());
    assertEquals("invalid_json", answer.errorCode(), answer.body());
    assertFalse(answer.body().matches("(?s).*(com\\.|java\\.|Exception|jackson).*"), answer.body());
  }

  @Test
  void missingModelAndMessagesAreNamed() {
    // When
    Http.Answer noModel = Http.post(CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    Http.Answer noMessages = Http.post(CHAT, "{\"model\":\"tiny-base\"}");
    // Then
    assertEquals("model", noModel.errorParam());
    assertEquals("messages", noMessages.errorParam());
    assertEquals(400, noMessages.status());
  }

  @Test
  void loneSurrogateIs400AndItsPlaceIsNamed() {
    // When
    Http.Answer answer =
        Http.post(
            CHAT,
            "{\"model\":\"tiny-base\",\"messages\":[{\"role\":\"user\",\"content\":\"a\\ud800\"}]}");
    // Then
    assertEquals(400, answer.status());
    assertEquals("invalid_unicode", answer.errorCode());
    assertEquals("messages[0].content", answer.errorParam());
  }

  @Test
  void templateThatRaisesIs400WithItsOwnWords() {
    // When
    Http.Answer answer =
        Http.post(
            CHAT,
            "{\"model\":\"tiny-base\",\"messages\":[{\"role\":\"user\",\"content\":\"RAISE\"}]}");
    // Then
    assertEquals(400, answer.status());
    assertEquals("template_refused", answer.errorCode());
    assertTrue(answer.errorMessage().contains("no raising here"), answer.errorMessage());
  }

  @Test
  void promptOfAMegabyteIs400ContextLengthExceeded() {
    // When
    Http.Answer chat =
        Http.post(
            CHAT,
            "{\"model\":\"tiny-base\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}"
                .formatted("word ".repeat(200_000)));
    Http.Answer text = Http.complete("\"prompt\":\"" + "word ".repeat(200_000) + "\"");
    // Then
    assertEquals(400, chat.status());
    assertEquals("context_length_exceeded", chat.errorCode());
    assertTrue(
        chat.errorMessage()
            .startsWith("This model's maximum context length is 256 tokens. However,"),
        chat.errorMessage());
    assertEquals("context_length_exceeded", text.errorCode());
    assertEquals("prompt", text.errorParam());
  }

  @Test
  void maxTokensBeyondTheContextIs400WithTheNumbers() {
    // When
    Http.Answer answer = Http.complete("\"prompt\":[1,2,3],\"max_tokens\":300");
    // Then
    assertEquals("context_length_exceeded", answer.errorCode());
    assertEquals(
        "This model's maximum context length is 256 tokens. However, you requested 303 tokens (3 in"
            + " the prompt, 300 in the completion). Please reduce the length of the prompt or"
            + " completion.",
        answer.errorMessage());
  }

  @Test
  void promptLongerThanTheContextIs400WithTheNumbers() {
    // When
    Http.Answer answer = Http.complete("\"prompt\":\"" + "a ! ".repeat(200) + "\"");
    // Then
    assertEquals(400, answer.status());
    assertTrue(answer.errorMessage().contains("your prompt resulted in"), answer.errorMessage());
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "[[]]", "\"\"", "[99999]", "[1,\"a\"]", "{}", "5"})
  void promptThatIsNoPromptIs400(String prompt) {
    // When
    Http.Answer answer = Http.complete("\"prompt\":" + prompt);
    // Then
    assertEquals(400, answer.status(), answer.body());
    assertTrue(answer.errorParam().startsWith("prompt"), answer.body());
  }

  @Test
  void bodyOverTheLimitIs413() {
    // When
    Http.Answer answer = Http.post(CHAT, "{\"model\":\"" + "x".repeat(9 << 20) + "\"}");
    // Then
    assertEquals(413, answer.status());
    assertEquals("request_too_large", answer.errorCode());
  }

  @Test
  void bodyOverTheLimitInChunksIs413Too() throws IOException, InterruptedException {
    // Given
    byte[] body = new byte[9 << 20];
    HttpRequest request =
        HttpRequest.newBuilder(Http.uri(CHAT))
            .header("Content-Type", "application/json")
            .header("Authorization", "Bearer " + ServeBeans.API_KEY)
            .POST(BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body)))
            .build();
    // When
    HttpResponse<String> answer =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .build()
            .send(request, BodyHandlers.ofString());
    // Then
    assertEquals(413, answer.statusCode());
  }

  @Test
  void wrongContentTypeIs415() {
    // When
    Http.Answer answer =
        Http.send("POST", CHAT, "a=b", ServeBeans.API_KEY, "Content-Type", "text/plain");
    // Then
    assertEquals(415, answer.status());
    assertEquals("unsupported_media_type", answer.errorCode());
  }

  @ParameterizedTest
  @ValueSource(strings = {"/v1/nothing", "/nothing", "/v1/chat", "/", "/admin/nothing"})
  void unknownPathIs404InOpenAisShape(String path) {
    // When
    Http.Answer answer = Http.get(path);
    // Then
    assertEquals(404, answer.status(), answer.body());
    assertEquals("unknown_url", answer.errorCode(), answer.body());
  }

  @Test
  void wrongMethodIs405() {
    // When
    Http.Answer answer = Http.get(CHAT);
    // Then
    assertEquals(405, answer.status(), answer.body());
    assertEquals("method_not_allowed", answer.errorCode(), answer.body());
  }

  @Test
  void fullQueueIs429WithRetryAfter() {
    // Given
    engine.say(Then.BUSY);
    // When
    Http.Answer answer = Http.chat("\"stream\":true");
    // Then
    assertEquals(429, answer.status());
    assertEquals("1", answer.header("retry-after"));
    assertEquals("engine_busy", answer.errorCode());
  }

  @Test
  void deadEngineIs503() {
    // Given
    engine.say(Then.DEAD);
    // When
    Http.Answer answer = Http.chat("");
    // Then
    assertEquals(503, answer.status());
    assertEquals("engine_stopped", answer.errorCode());
  }

  @Test
  void engineErrorBeforeTheFirstTokenIs500EvenForAStream() {
    // Given
    engine.say(Then.FAIL, new int[0]);
    // When
    Http.Answer answer = Http.chat("\"stream\":true");
    // Then
    assertEquals(500, answer.status());
    assertEquals("kernel exploded", answer.errorMessage());
  }

  @Test
  void engineErrorInsideAStreamIsItsLastEvent() {
    // Given
    engine.say(Then.FAIL, Words.letters("Hi"));
    // When
    Http.Answer answer = Http.chat("\"stream\":true");
    // Then
    assertEquals(200, answer.status());
    List<String> events = answer.events();
    assertEquals(
        "{\"error\":{\"message\":\"kernel exploded\",\"type\":\"server_error\",\"param\":null,\"code\":\"internal_error\"}}",
        events.get(events.size() - 1));
  }

  @Test
  void requestIdIsEchoedOrMade() {
    // When
    Http.Answer given =
        Http.send("GET", "/v1/models", null, ServeBeans.API_KEY, "x-request-id", "mine-1");
    Http.Answer made = Http.get("/v1/nothing");
    // Then
    assertEquals("mine-1", given.header("x-request-id"));
    assertTrue(made.header("x-request-id").startsWith("req_"));
  }
}
