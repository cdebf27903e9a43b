package io.chorale.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * One name whose adapter is replaced again and again while streams use it. Odd versions hold one
 * adapter, even ones another, so that the text of an answer tells which weights made it.
 */
class ReplacedAdapterIT {
  private static final String ODD = "lora-all-linear";
  private static final String EVEN = "dora";
  private static final String NAME = "swapped";
  private static final int REPLACEMENTS = 100;
  private static final int STREAMS = 8;
  private static final String QUESTION = "go on";
  private static final String FIELDS = "\"max_tokens\": 60, \"ignore_eos\": true";

  @TempDir static Path temp;
  private static ServerProcess server;

  private final AtomicInteger published = new AtomicInteger();
  private final AtomicBoolean done = new AtomicBoolean();
  private final AtomicInteger overtaken = new AtomicInteger();

  @BeforeAll
  static void start() throws IOException {
    AdapterRoot root = new AdapterRoot(temp, ODD, EVEN);
    // Fewer slots than streams: versions also have to wait for each other.
    server = ServerProcess.start("replaced-adapter", root.options("--max-loras", "4"));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @Test
  void streamsKeepTheVersionTheyStartedWithAndNewOnesGetTheNewOne() throws Exception {
    // Given: what each adapter says
    publish();
    String odd = ServerProcess.content(server.send(server.chat(NAME, QUESTION, FIELDS)));
    publish();
    String even = ServerProcess.content(server.send(server.chat(NAME, QUESTION, FIELDS)));
    assertNotEquals(odd, even);
    // When: eight clients stream all the time
    ExecutorService clients = Executors.newFixedThreadPool(STREAMS);
    List<Future<Integer>> streams = new ArrayList<>();
    Callable<Integer> client =
        () -> {
          int count = 0;
          for (; !done.get() || count == 0; count++) {
            streamOnce(odd, even);
          }
          return count;
        };
    for (int i = 0; i < STREAMS; i++) {
      streams.add(clients.submit(client));
    }
    try {
      for (int i = 0; i < REPLACEMENTS; i++) {
        publish();
      }
    } finally {
      done.set(true);
    }
    // Then
    for (Future<Integer> stream : streams) {
      assertTrue(stream.get() > 0);
    }
    clients.shutdown();
    assertTrue(overtaken.get() > 0, "no stream was under way while its adapter was replaced");
    server.assertIdleAndWhole();
    assertEquals(0, server.metric("chorale_adapter_leases{adapter=\"" + NAME + "\"}"));
    assertTrue(server.metric("chorale_adapters_resident") <= 1, "old versions keep their slots");
  }

  private void publish() {
    int version = published.get() + 1;
    HttpResponse<String> answer = server.put(NAME, "kept/" + (version % 2 == 1 ? ODD : EVEN));
    assertEquals(version == 1 ? 201 : 200, answer.statusCode(), answer.body());
    assertEquals(version, ServerProcess.json(answer).get("version").asInt());
    published.set(version);
  }

  private void streamOnce(String odd, String even) {
    int before = published.get();
    HttpResponse<String> answer =
        server.send(server.chat(NAME, QUESTION, FIELDS + ", \"stream\": true"));
    assertEquals(200, answer.statusCode(), answer.body());
    String adapter = answer.headers().firstValue("x-chorale-adapter").orElseThrow();
    assertTrue(adapter.matches(NAME + "@\\d+"), adapter);
    int version = Integer.parseInt(adapter.substring(NAME.length() + 1));
    assertTrue(version >= before, adapter + " after version " + before + " was published");
    assertEquals(version % 2 == 1 ? odd : even, textOf(answer.body(), adapter), adapter);
    if (published.get() > version) {
      overtaken.incrementAndGet();
    }
  }

  /** The text of all events, each of which must name the adapter. */
  private static String textOf(String events, String adapter) {
    StringBuilder text = new StringBuilder();
    List<String> data =
        events
            .lines()
            .filter(line -> !line.isEmpty())
            .map(line -> line.substring("data: ".length()))
            .toList();
    assertEquals("[DONE]", data.get(data.size() - 1));
    for (String event : data.subList(0, data.size() - 1)) {
      JsonNode chunk = ServerProcess.json(event);
      String fingerprint = chunk.path("system_fingerprint").asText();
      assertTrue(fingerprint.matches("fp_[0-9a-f]{10}-" + adapter), event);
      text.append(chunk.at("/choices/0/delta/content").asText(""));
    }
    return text.toString();
  }
}
