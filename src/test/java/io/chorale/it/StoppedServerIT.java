package io.chorale.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** SIGTERM at a server whose streams run. */
class StoppedServerIT {
  private static final int STREAMS = 16;

  @Test
  void aStoppedServerFinishesItsStreamsAndEndsInOrder() {
    try (ServerProcess server =
        ServerProcess.start(
            "stopped-server", List.of("--model", ServerProcess.TINY_MODEL.toString()))) {
      List<CompletableFuture<HttpResponse<String>>> streams = new ArrayList<>();
      for (int i = 0; i < STREAMS; i++) {
        String body =
            "{\"model\": \"%s\", \"prompt\": [%d, 2, 3], \"max_tokens\": 500, \"stream\": true, \"ignore_eos\": true, \"speculative\": false}"
                .formatted(ServerProcess.TINY, 5 + i);
        streams.add(
            server
                .client()
                .sendAsync(
                    server.request("/v1/completions").POST(BodyPublishers.ofString(body)).build(),
                    BodyHandlers.ofString()));
      }
      server.awaitRunning(1);
      // When
      int exit = server.stop();
      // Then
      assertEquals(143, exit); // 128 + SIGTERM, by which supervisors know an end that was asked for
      for (CompletableFuture<HttpResponse<String>> stream : streams) {
        HttpResponse<String> answer = stream.join();
        assertEquals(200, answer.statusCode(), answer.body());
        assertTrue(answer.body().endsWith("data: [DONE]\n\n"), answer.body());
      }
    }
  }
}
