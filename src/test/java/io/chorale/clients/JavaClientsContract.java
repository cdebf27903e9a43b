package io.chorale.clients;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.errors.RateLimitException;
import com.openai.errors.UnauthorizedException;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.models.Model;
import dev.langchain4j.exception.AuthenticationException;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.model.catalog.ModelDescription;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiModelCatalog;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * What openai-java and langchain4j must be able to do with a server they know nothing about. A
 * subclass says where the server is. Greedy answers of 16 tokens, so a server with any model can
 * pass; no retries, so the first status is the one that is seen.
 */
abstract class JavaClientsContract {
  private static final String QUESTION = "May I sell a product that contains MIT code?";
  private static final Duration TIMEOUT = Duration.ofMinutes(2);

  /** Without {@code /v1}: {@code http://127.0.0.1:8000}. */
  abstract String url();

  /** Id of the base model. */
  abstract String model();

  /** Id of a loaded adapter, whose answer to {@link #QUESTION} is not the base model's. */
  abstract String adapter();

  /** A key that the server accepts; the server must refuse other keys. */
  abstract String apiKey();

  /** More requests at once than the server runs and queues. */
  abstract int flood();

  // ------------------------------------------------------------------ openai-java

  private OpenAIClient openai(String key) {
    return OpenAIOkHttpClient.builder()
        .baseUrl(url() + "/v1")
        .apiKey(key)
        .maxRetries(0)
        .timeout(TIMEOUT)
        .build();
  }

  private ChatCompletionCreateParams.Builder chat(String model) {
    return ChatCompletionCreateParams.builder()
        .model(model)
        .addUserMessage(QUESTION)
        .temperature(0)
        .maxCompletionTokens(16);
  }

  private String answer(OpenAIClient client, String model) {
    return client
        .chat()
        .completions()
        .create(chat(model).build())
        .choices()
        .get(0)
        .message()
        .content()
        .orElseThrow();
  }

  private List<ChatCompletionChunk> chunks(OpenAIClient client, ChatCompletionCreateParams params) {
    try (var response = client.chat().completions().createStreaming(params)) {
      return response.stream().collect(Collectors.toList());
    }
  }

  @Test
  void openaiJavaGetsAnAnswerWithUsageFromTheBaseAndAnotherFromTheAdapter() {
    // Given
    var client = openai(apiKey());
    // When
    var base = client.chat().completions().create(chat(model()).build());
    String adapted = answer(client, adapter());
    // Then
    String text = base.choices().get(0).message().content().orElseThrow();
    assertFalse(text.isEmpty());
    assertFalse(text.equals(adapted), "base and adapter both said: " + text);
    var usage = base.usage().orElseThrow();
    assertEquals(usage.promptTokens() + usage.completionTokens(), usage.totalTokens());
    client.close();
  }

  @Test
  void openaiJavaStreamAddsUpToTheWholeAnswerAndEndsWithUsage() {
    // Given
    var client = openai(apiKey());
    String whole = answer(client, adapter());
    var params =
        chat(adapter())
            .streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build())
            .build();
    // When
    List<ChatCompletionChunk> chunks = chunks(client, params);
    // Then
    String streamed =
        chunks.stream()
            .flatMap(chunk -> chunk.choices().stream())
            .map(choice -> choice.delta().content().orElse(""))
            .collect(Collectors.joining());
    assertEquals(whole, streamed);
    ChatCompletionChunk last = chunks.get(chunks.size() - 1);
    assertTrue(last.choices().isEmpty(), "the usage chunk has no choices");
    assertTrue(last.usage().orElseThrow().completionTokens() > 0);
    client.close();
  }

  @Test
  void openaiJavaListsTheBaseAndTheAdapterAndRetrievesBoth() {
    // Given
    var client = openai(apiKey());
    // When
    var ids = client.models().list().data().stream().map(Model::id).collect(Collectors.toList());
    // Then
    assertTrue(ids.containsAll(List.of(model(), adapter())), ids.toString());
    assertEquals(adapter(), client.models().retrieve(adapter()).id());
    client.close();
  }

  @Test
  void openaiJavaSeesAnUnknownFieldAs400WithItsName() {
    // Given
    var client = openai(apiKey());
    var params =
        chat(model()).putAdditionalBodyProperty("made_up_field", JsonValue.from(1)).build();
    // When
    var error =
        assertThrows(BadRequestException.class, () -> client.chat().completions().create(params));
    // Then
    assertEquals("made_up_field", error.param().orElseThrow());
    client.close();
  }

  @Test
  void openaiJavaSeesAnUnknownModelAs404AndAWrongKeyAs401() {
    // Given
    var client = openai(apiKey());
    var stranger = openai("not-the-key");
    // When
    var missing =
        assertThrows(
            NotFoundException.class,
            () -> client.chat().completions().create(chat("no-such-model").build()));
    var refused =
        assertThrows(
            UnauthorizedException.class,
            () -> stranger.chat().completions().create(chat(model()).build()));
    // Then
    assertEquals("model_not_found", missing.code().orElseThrow());
    assertEquals(401, refused.statusCode());
    client.close();
    stranger.close();
  }

  @Test
  void openaiJavaSeesAFullQueueAs429AndEveryOtherRequestIsAnswered() throws Exception {
    // Given
    var client = openai(apiKey());
    var threads = Executors.newFixedThreadPool(flood());
    var barrier = new CompletableFuture<Void>();
    Callable<Boolean> one =
        () -> {
          barrier.get();
          try {
            return !answer(client, model()).isEmpty();
          } catch (RateLimitException full) {
            assertTrue(full.headers().values("Retry-After").size() == 1, "429 without Retry-After");
            return false;
          }
        };
    List<Future<Boolean>> answered = new ArrayList<>();
    for (int i = 0; i < flood(); i++) {
      answered.add(threads.submit(one));
    }
    // When
    barrier.complete(null);
    int refused = 0;
    for (Future<Boolean> future : answered) {
      refused += future.get() ? 0 : 1;
    }
    // Then
    threads.shutdown();
    assertTrue(refused > 0 && refused < flood(), refused + " of " + flood() + " refused");
    client.close();
  }

  // ------------------------------------------------------------------ langchain4j

  private OpenAiChatModel langchain(String key, String model, Map<String, Object> extra) {
    return OpenAiChatModel.builder()
        .baseUrl(url() + "/v1")
        .apiKey(key)
        .modelName(model)
        .temperature(0.0)
        .maxTokens(16)
        .maxRetries(0)
        .timeout(TIMEOUT)
        .customParameters(extra)
        .build();
  }

  private String langchainStream(String model) throws InterruptedException, ExecutionException {
    var streaming =
        OpenAiStreamingChatModel.builder()
            .baseUrl(url() + "/v1")
            .apiKey(apiKey())
            .modelName(model)
            .temperature(0.0)
            .maxTokens(16)
            .timeout(TIMEOUT)
            .build();
    var parts = new StringBuffer();
    var done = new CompletableFuture<ChatResponse>();
    streaming.chat(
        QUESTION,
        new StreamingChatResponseHandler() {
          @Override
          public void onPartialResponse(String part) {
            parts.append(part);
          }

          @Override
          public void onCompleteResponse(ChatResponse response) {
            done.complete(response);
          }

          @Override
          public void onError(Throwable error) {
            done.completeExceptionally(error);
          }
        });
    ChatResponse response = done.orTimeout(2, TimeUnit.MINUTES).get();
    assertEquals(parts.toString(), response.aiMessage().text());
    assertTrue(response.tokenUsage().outputTokenCount() > 0);
    return parts.toString();
  }

  @Test
  void langchain4jGetsTheSameTextAsOpenaiJava() {
    // Given
    var client = openai(apiKey());
    String expected = answer(client, adapter());
    var request =
        ChatRequest.builder()
            .messages(dev.langchain4j.data.message.UserMessage.from(QUESTION))
            .build();
    // When
    ChatResponse response = langchain(apiKey(), adapter(), Map.of()).chat(request);
    // Then
    assertEquals(expected, response.aiMessage().text());
    assertTrue(response.tokenUsage().inputTokenCount() > 0);
    client.close();
  }

  @Test
  void langchain4jStreamsTheBaseAndTheAdapterApart() throws Exception {
    // When
    String base = langchainStream(model());
    String adapted = langchainStream(adapter());
    // Then
    assertFalse(base.equals(adapted), "base and adapter both said: " + base);
  }

  @Test
  void langchain4jListsTheBaseAndTheAdapter() {
    // Given
    var catalog = OpenAiModelCatalog.builder().baseUrl(url() + "/v1").apiKey(apiKey()).build();
    // When
    var names =
        catalog.listModels().stream().map(ModelDescription::name).collect(Collectors.toList());
    // Then
    assertTrue(names.containsAll(List.of(model(), adapter())), names.toString());
  }

  @Test
  void langchain4jMaps400And401And404ToItsOwnExceptions() {
    // Given
    var unknownField = langchain(apiKey(), model(), Map.of("made_up_field", 1));
    var stranger = langchain("not-the-key", model(), Map.of());
    var unknownModel = langchain(apiKey(), "no-such-model", Map.of());
    // When
    var invalid = assertThrows(InvalidRequestException.class, () -> unknownField.chat(QUESTION));
    // Then
    assertTrue(invalid.getMessage().contains("made_up_field"), invalid.getMessage());
    assertThrows(AuthenticationException.class, () -> stranger.chat(QUESTION));
    assertThrows(ModelNotFoundException.class, () -> unknownModel.chat(QUESTION));
  }
}
