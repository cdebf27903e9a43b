package io.chorale.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Clients that hang up, ask too much, all at once, or nonsense; the server stays whole. */
class HardTimesIT {
  private static final String ADAPTER = "lora-all-linear";

  /** Sequences of one request that hang-ups leave behind: some run, some wait for blocks. */
  private static final int CHOICES = 64;

  @TempDir static Path temp;
  private static ServerProcess server;

  @BeforeAll
  static void start() throws IOException {
    AdapterRoot root = new AdapterRoot(temp, ADAPTER);
    server =
        ServerProcess.start("hard-times", root.options("--max-queued", "64", "--max-running", "2"));
    assertEquals(201, server.put(ADAPTER, "kept/" + ADAPTER).statusCode());
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @ParameterizedTest
  @ValueSource(strings = {ServerProcess.TINY, ADAPTER})
  void hangUpMidStreamEndsAllItsSequencesAndFreesTheirBlocks(String model) throws IOException {
    // Given
    double abortedBefore = server.metric(ended(model, "abort"));
    double wholeBefore = server.metric(ended(model, "length"));
    double sampled = server.metric("chorale_sampled_tokens_total");
    String body =
        ServerProcess.chatJson(
            model,
            "go on",
            "\"n\": 64, \"max_tokens\": 400, \"ignore_eos\": true, \"stream\": true");
    // When
    try (Socket socket = post("/v1/chat/completions", body)) {
      readUntilEvent(socket);
    }
    // Then
    server.assertIdleAndWhole();
    double aborted = server.metric(ended(model, "abort")) - abortedBefore;
    double whole = server.metric(ended(model, "length")) - wholeBefore;
    assertEquals(CHOICES, aborted + whole, "sequences that ended");
    assertTrue(aborted > whole, whole + " of them had run to their end");
    double generated = server.metric("chorale_sampled_tokens_total") - sampled;
    assertTrue(generated < CHOICES * 400, generated + " tokens: nothing was cut short");
    assertEquals(0, server.metric("chorale_adapter_leases{adapter=\"" + ADAPTER + "\"}"));
  }

  private static String ended(String model, String reason) {
    return "chorale_requests_total{adapter=\"%s\",finish_reason=\"%s\",}".formatted(model, reason);
  }

  /** A client that hangs up needs a socket of its own: the JDK's client pools them. */
  private static Socket post(String path, String body) throws IOException {
    URI uri = URI.create(server.url());
    Socket socket = new Socket(uri.getHost(), uri.getPort());
    String head =
        "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            .formatted(path, uri.getAuthority(), body.getBytes(StandardCharsets.UTF_8).length);
    socket.getOutputStream().write((head + body).getBytes(StandardCharsets.UTF_8));
    return socket;
  }

  private static void readUntilEvent(Socket socket) throws IOException {
    var lines =
        new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
    String line = lines.readLine();
    assertEquals("HTTP/1.1 200 OK", line);
    while (!line.startsWith("data:")) {
      line = lines.readLine();
    }
  }

  @Test
  void hangUpBeforeTheAnswerEndsTheSequences() throws IOException {
    // Given
    double before = server.metric("chorale_sampled_tokens_total");
    String body =
        ServerProcess.chatJson(
            ServerProcess.TINY, "go on", "\"n\": 64, \"max_tokens\": 400, \"ignore_eos\": true");
    // When
    try (Socket socket = post("/v1/chat/completions", body)) {
      server.awaitRunning(1);
    }
    // Then
    server.assertIdleAndWhole();
    double generated = server.metric("chorale_sampled_tokens_total") - before;
    assertTrue(generated < CHOICES * 400, generated + " tokens: nothing was cut short");
  }

  @ParameterizedTest
  @ValueSource(strings = {ServerProcess.TINY, ADAPTER})
  void promptOfAMegabyteIsAnswered400WithoutReachingTheEngine(String model) {
    // Given
    double steps = server.metric("chorale_engine_steps_total");
    // When
    HttpResponse<String> answer = server.send(server.chat(model, "word ".repeat(210_000), ""));
    // Then
    assertEquals(400, answer.statusCode(), answer.body());
    assertEquals("context_length_exceeded", ServerProcess.json(answer).at("/error/code").asText());
    server.assertIdleAndWhole();
    assertEquals(steps, server.metric("chorale_engine_steps_total"));
  }

  @Test
  void twoHundredAtOnceOnAQueueOf64AreEachAnsweredOrToldToComeBack() {
    // Given
    String fields = "\"max_tokens\": 400, \"ignore_eos\": true";
    // When
    List<CompletableFuture<HttpResponse<String>>> sent = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      String model = i % 2 == 0 ? ServerProcess.TINY : ADAPTER;
      sent.add(
          server.client().sendAsync(server.chat(model, "q " + i, fields), BodyHandlers.ofString()));
    }
    int answered = 0;
    int refused = 0;
    for (CompletableFuture<HttpResponse<String>> one : sent) {
      HttpResponse<String> answer = one.join();
      if (answer.statusCode() == 200) {
        answered++;
        assertEquals(
            400, ServerProcess.json(answer).at("/usage/completion_tokens").asInt(), "tokens");
      } else {
        refused++;
        assertEquals(429, answer.statusCode(), answer.body());
        int wait = Integer.parseInt(answer.headers().firstValue("Retry-After").orElseThrow());
        assertTrue(wait >= 1 && wait <= 60, "Retry-After: " + wait);
      }
    }
    // Then
    assertEquals(200, answered + refused);
    assertTrue(answered >= 64, "only " + answered + " answered on a queue of 64");
    assertTrue(refused > 0, "nothing was refused: the queue was never full");
    server.assertIdleAndWhole();
    assertFalse(
        ServerProcess.content(
                server.send(server.chat(ADAPTER, "still there?", "\"max_tokens\": 4")))
            .isEmpty());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "{", "[]", "null", "{\"model\": }", "{\"model\": \"llama\"} {}"})
  void bodyThatIsNoJsonObjectIsA400OfOpenaisShape(String body) {
    // When
    HttpResponse<String> answer =
        server.send(
            server.request("/v1/chat/completions").POST(BodyPublishers.ofString(body)).build());
    // Then
    assertEquals(400, answer.statusCode(), answer.body());
    assertEquals("invalid_request_error", ServerProcess.json(answer).at("/error/type").asText());
    server.assertIdleAndWhole();
  }

  @Test
  void contentTypeThatIsNotJsonIsA415() {
    // When
    HttpResponse<String> answer =
        server.send(
            server
                .request("/v1/chat/completions")
                .setHeader("Content-Type", "text/plain")
                .POST(ServerProcess.chatBody(ServerProcess.TINY, "hi", ""))
                .build());
    // Then
    assertEquals(415, answer.statusCode(), answer.body());
    assertFalse(ServerProcess.json(answer).at("/error/message").asText().isEmpty());
    server.assertIdleAndWhole();
  }
}
