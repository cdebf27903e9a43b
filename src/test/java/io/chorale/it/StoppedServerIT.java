package io.chorale.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandler;
import java.net.http.HttpResponse.BodySubscribers;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** SIGTERM at a server whose streams run. */
class StoppedServerIT {
  private static final int ROUNDS = 20;
  private static final int STREAMS = 16;

  @Test
  void aStoppedServerFinishesItsStreamsAndEndsInOrder() throws Exception {
    try (ServerProcess server =
        ServerProcess.start(
            "stopped-server", List.of("--model", ServerProcess.TINY_MODEL.toString()))) {
      List<CompletableFuture<HttpResponse<String>>> streams = List.of();
      for (int round = 0; round < ROUNDS && streams.stream().allMatch(s -> s.isDone()); round++) {
        streams = startedStreams(server); // on a busy machine all may be over before one looks
      }
      assertTrue(streams.stream().anyMatch(s -> !s.isDone()), "all streams were over each time");
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

  /** Streams that have all begun to answer. */
  private static List<CompletableFuture<HttpResponse<String>>> startedStreams(ServerProcess server)
      throws InterruptedException {
    CountDownLatch begun = new CountDownLatch(STREAMS);
    BodyHandler<String> handler =
        head -> {
          begun.countDown();
          return BodySubscribers.ofString(StandardCharsets.UTF_8);
        };
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
                  handler));
    }
    assertTrue(begun.await(60, TimeUnit.SECONDS), "not all streams began");
    return streams;
  }
}
