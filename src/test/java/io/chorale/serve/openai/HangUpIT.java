package io.chorale.serve.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.adapter.AdapterRegistry;
import io.chorale.adapter.RegisterOptions;
import io.chorale.serve.FakeEngine;
import io.chorale.serve.FakeEngine.Then;
import io.chorale.serve.Http;
import io.chorale.serve.ServeBeans;
import io.chorale.serve.ServeProfile;
import io.chorale.serve.Words;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import jakarta.inject.Inject;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Leases and sequences of requests whose client, or whose adapter, goes away. */
@QuarkusTest
@TestProfile(ServeProfile.class)
class HangUpIT {
  private static final String ADAPTER = "hang-up";
  private static final Path FILES = Path.of("lora-all-linear");

  @Inject FakeEngine engine;
  @Inject AdapterRegistry adapters;

  @BeforeEach
  void register() {
    adapters.register(ADAPTER, FILES, RegisterOptions.REPLACE);
  }

  @AfterEach
  void remove() {
    adapters.remove(ADAPTER);
  }

  @Test
  void hangUpMidStreamAbortsEverySequenceAndReturnsTheLease() throws IOException {
    // Given
    engine.say(Then.HANG, Words.letters("Hi"), Words.letters("Yo"));
    try (Socket socket = request("\"stream\":true,\"n\":2")) {
      readUntil(socket, "\"content\":\"i\"");
      assertEquals(1, leases());
    }
    // When the socket is closed, then
    await(() -> leases() == 0);
    assertEquals(List.of(0, 1), engine.aborted.stream().sorted().distinct().toList());
  }

  @Test
  void hangUpBeforeTheFirstTokenAbortsTheSequenceAndReturnsTheLease() throws IOException {
    for (String stream : List.of("true", "false")) {
      // Given
      engine.say(Then.HANG, new int[0]);
      try (Socket socket = request("\"stream\":" + stream)) {
        await(() -> engine.requests.size() == 1);
        assertTrue(socket.isConnected());
      }
      // When the socket is closed, then
      await(() -> leases() == 0);
      assertEquals(List.of(0), engine.aborted.stream().distinct().toList(), stream);
    }
  }

  @Test
  void clientThatDoesNotReadIsCutOffAndReturnsTheLease() throws IOException {
    // Given more than the cap and what the sockets' buffers hold
    engine.say(Then.HANG, Words.letters("abcdefgh".repeat(20_000)));
    try (Socket socket = request("\"stream\":true,\"ignore_eos\":true")) {
      await(() -> engine.requests.size() == 1);
      // When nothing is read, then
      await(() -> leases() == 0);
      assertTrue(!socket.isClosed());
    }
    assertEquals(List.of(0), engine.aborted.stream().distinct().toList());
  }

  @Test
  void clientThatReadsGetsAllOfALongBurst() {
    // Given
    engine.say(Then.STOP, Words.letters("abcdefgh".repeat(5_000)));
    // When
    Http.Answer answer = Http.chatWith(ADAPTER, "\"stream\":true");
    // Then
    assertEquals("abcdefgh".repeat(5_000), ChatCompletionsIT.streamed(answer, 0));
  }

  @Test
  void finishedAndRefusedRequestsReturnTheirLeases() {
    // Given
    engine.say(Then.STOP, Words.letters("Hi"));
    // When
    Http.chatWith(ADAPTER, "\"stream\":true");
    Http.chatWith(ADAPTER, "");
    Http.chatWith(ADAPTER, "\"max_tokens\":9999");
    engine.say(Then.BUSY);
    Http.chatWith(ADAPTER, "");
    engine.say(Then.FAIL, Words.letters("Hi"));
    Http.chatWith(ADAPTER, "");
    // Then
    await(() -> leases() == 0);
  }

  @Test
  void replacedAdapterServesTheOldVersionToTheEndAndIsRetiredOnce() {
    // Given
    engine.say(Then.HANG, Words.letters("a#"));
    int oldKey = adapters.find(ADAPTER).orElseThrow().adapterKey();
    int oldVersion = adapters.find(ADAPTER).orElseThrow().version();
    CompletableFuture<Http.Answer> running =
        CompletableFuture.supplyAsync(() -> Http.chatWith(ADAPTER, ""));
    await(() -> engine.requests.size() == 1);
    // When
    adapters.register(ADAPTER, FILES, RegisterOptions.REPLACE);
    boolean retiredEarly = engine.retired.contains(oldKey);
    FakeEngine.abortAll(engine);
    Http.Answer old = running.join();
    engine.say(Then.STOP, Words.letters("b"));
    Http.Answer fresh = Http.chatWith(ADAPTER, "");
    // Then
    assertTrue(!retiredEarly, "retired while a request held it");
    assertEquals(503, old.status()); // the engine let go of it without our asking
    await(() -> engine.retired.contains(oldKey));
    assertEquals(1, engine.retired.stream().filter(k -> k == oldKey).count());
    assertEquals(ADAPTER + "@" + (oldVersion + 1), fresh.header("x-chorale-adapter"));
    assertTrue(
        fresh
            .json()
            .path("system_fingerprint")
            .asText()
            .endsWith(ADAPTER + "@" + (oldVersion + 1)));
  }

  @Test
  void streamNamesItsAdapterVersionInAHeader() {
    // Given
    engine.say(Then.STOP, Words.letters("Hi"));
    int key = adapters.find(ADAPTER).orElseThrow().adapterKey();
    // When
    Http.Answer answer = Http.chatWith(ADAPTER, "\"stream\":true");
    // Then
    assertTrue(answer.header("x-chorale-adapter").startsWith(ADAPTER + "@"));
    assertEquals(key, engine.requests.get(0).adapterKey());
    assertEquals(ADAPTER, answer.chunks().get(0).path("model").asText());
  }

  private int leases() {
    return adapters.find(ADAPTER).orElseThrow().leases();
  }

  private static Socket request(String fields) throws IOException {
    String body =
        "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],%s}"
            .formatted(ADAPTER, fields);
    String head =
        """
        POST /v1/chat/completions HTTP/1.1\r
        Host: localhost\r
        Authorization: Bearer %s\r
        Content-Type: application/json\r
        Content-Length: %d\r
        \r
        """
            .formatted(ServeBeans.API_KEY, body.length());
    URI uri = Http.uri("/");
    Socket socket = new Socket(uri.getHost(), uri.getPort());
    socket.setSoTimeout(20_000);
    socket.getOutputStream().write((head + body).getBytes(StandardCharsets.US_ASCII));
    socket.getOutputStream().flush();
    return socket;
  }

  private static void readUntil(Socket socket, String text) throws IOException {
    InputStream in = socket.getInputStream();
    StringBuilder read = new StringBuilder();
    while (read.indexOf(text) < 0) {
      int next = in.read();
      if (next < 0) {
        throw new AssertionError("the stream ended before " + text + ": " + read);
      }
      read.append((char) next);
    }
  }

  private static void await(BooleanSupplier condition) {
    for (int i = 0; i < 2000 && !condition.getAsBoolean(); i++) {
      try {
        Thread.sleep(5);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    assertTrue(condition.getAsBoolean(), "did not come true");
  }
}
