package io.chorale.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.it.SoakPlan.Question;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Clients that ask, stream, and hang up at random, and one that registers, replaces and removes
 * adapters under them. Whatever is answered must be what the weights that the answer names say when
 * they are asked alone. Each method but {@link #learn} is for any thread.
 */
final class SoakClients {
  static final List<String> NAMES = List.of("a", "b", "c", "d", "e", "f", "g", "h");
  private static final String BASE_SOURCE = "";
  private static final int HANG_UP_TOKENS = 150;
  private static final long KNOWN_WITHIN_NS = 60_000_000_000L;

  private final ServerProcess server;
  private final SoakPlan plan;
  private final String base;

  /** What a source answers alone, and which source an adapter's version was made of. */
  private final Map<String, Map<Question, String>> alone = new ConcurrentHashMap<>();

  private final Map<String, String> sourceOf = new ConcurrentHashMap<>();
  private final Map<String, Boolean> registered = new ConcurrentHashMap<>();

  final AtomicLong answered = new AtomicLong();
  final AtomicLong answeredSequences = new AtomicLong();
  final AtomicLong answeredTokens = new AtomicLong();
  final AtomicLong hungUp = new AtomicLong();
  final AtomicLong gone = new AtomicLong();
  final AtomicLong refused = new AtomicLong();
  final AtomicLong swaps = new AtomicLong();
  final AtomicLong removals = new AtomicLong();

  SoakClients(ServerProcess server, SoakPlan plan) {
    this.server = server;
    this.plan = plan;
    this.base = ServerProcess.json(server.get("/health")).get("model").asText();
  }

  /** Asks every source every question, one at a time, while nothing else runs. */
  void learn() {
    alone.put(BASE_SOURCE, answersOf(base));
    for (String source : plan.sources()) {
      register(NAMES.get(0), source);
      Map<Question, String> answers = answersOf(NAMES.get(0));
      assertTrue(alone.values().stream().noneMatch(answers::equals), source + " changes no answer");
      alone.put(source, answers);
    }
  }

  private Map<Question, String> answersOf(String name) {
    Map<Question, String> answers = new ConcurrentHashMap<>();
    for (Question question : plan.questions()) {
      HttpResponse<String> answer = post(question.body(name, ""));
      assertEquals(200, answer.statusCode(), answer.body());
      answers.put(question, ServerProcess.json(answer).at("/choices/0/text").asText());
      count(question, 1);
    }
    return answers;
  }

  private void count(Question question, int choices) {
    answered.incrementAndGet();
    answeredSequences.addAndGet(choices);
    answeredTokens.addAndGet((long) choices * question.maxTokens());
  }

  private HttpResponse<String> post(String body) {
    return server.send(
        server.request("/v1/completions").POST(BodyPublishers.ofString(body)).build());
  }

  /** One request of a random kind. */
  void ask(Random random) throws Exception {
    String name = random.nextInt(4) == 0 ? base : NAMES.get(random.nextInt(NAMES.size()));
    if (random.nextInt(6) == 0) {
      hangUp(name, random);
      return;
    }
    Question question = plan.questions().get(random.nextInt(plan.questions().size()));
    boolean stream = random.nextBoolean();
    int choices = !stream && !question.sampled() && random.nextInt(8) == 0 ? 3 : 1;
    String more = stream ? ", \"stream\": true" : ", \"n\": " + choices;
    HttpResponse<String> answer = post(question.body(name, more));
    switch (answer.statusCode()) {
      case 200 -> {
        count(question, choices);
        check(name, question, stream, answer);
      }
      case 404 -> {
        assertTrue(!name.equals(base), answer.body());
        gone.incrementAndGet();
      }
      case 429 -> {
        refused.incrementAndGet();
        Thread.sleep(50);
      }
      default -> throw new AssertionError(answer.statusCode() + " " + answer.body());
    }
  }

  private void check(String name, Question question, boolean stream, HttpResponse<String> answer)
      throws InterruptedException {
    String source = BASE_SOURCE;
    String version = answer.headers().firstValue("x-chorale-adapter").orElse(name);
    if (!name.equals(base)) {
      assertTrue(version.startsWith(name + "@"), version);
      source = sourceOf(version);
    }
    String expected = alone.get(source).get(question);
    if (stream) {
      assertEquals(expected, streamed(answer.body()), version + " " + question);
      return;
    }
    for (JsonNode choice : ServerProcess.json(answer).get("choices")) {
      assertEquals(expected, choice.get("text").asText(), version + " " + question);
    }
  }

  /** A version may answer before its registration does. */
  private String sourceOf(String version) throws InterruptedException {
    long deadline = System.nanoTime() + KNOWN_WITHIN_NS;
    while (!sourceOf.containsKey(version)) {
      assertTrue(System.nanoTime() < deadline, version + " was never registered");
      Thread.sleep(5);
    }
    return sourceOf.get(version);
  }

  private static String streamed(String events) {
    assertTrue(events.endsWith("data: [DONE]\n\n"), events);
    StringBuilder text = new StringBuilder();
    events
        .lines()
        .filter(line -> line.startsWith("data: {"))
        .forEach(
            line -> {
              JsonNode event = ServerProcess.json(line.substring("data: ".length()));
              assertTrue(event.path("error").isMissingNode(), line);
              text.append(event.at("/choices/0/text").asText(""));
            });
    return text.toString();
  }

  /** Begins a stream over a prompt of its own and leaves, before its first event or after some. */
  private void hangUp(String name, Random random) throws IOException {
    String prompt = SoakPlan.prompt(random, 1 + random.nextInt(300), plan.tokens());
    Question question = new Question(prompt, HANG_UP_TOKENS, random.nextBoolean());
    byte[] body = question.body(name, ", \"stream\": true").getBytes(StandardCharsets.UTF_8);
    URI uri = URI.create(server.url());
    hungUp.incrementAndGet();
    try (Socket socket = new Socket(uri.getHost(), uri.getPort())) {
      String head =
          "POST /v1/completions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n";
      socket.getOutputStream().write(head.formatted(uri.getAuthority(), body.length).getBytes());
      socket.getOutputStream().write(body);
      var in = new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8);
      var lines = new BufferedReader(in);
      int events = random.nextInt(6);
      for (String line = ""; events > 0 && line != null; ) {
        line = lines.readLine();
        if (line != null && line.startsWith("HTTP/1.1")) {
          assertTrue(line.matches("HTTP/1.1 (200|404|429) .*"), line);
          events = line.contains(" 200 ") ? events : 0;
        } else if (line != null && line.startsWith("data:")) {
          events--;
        }
      }
    }
  }

  /** Registers, replaces or removes a random name. One thread at a time. */
  void swap(Random random) {
    String name = NAMES.get(random.nextInt(NAMES.size()));
    if (registered.containsKey(name) && random.nextInt(5) == 0) {
      remove(name);
    } else {
      register(name, plan.sources().get(random.nextInt(plan.sources().size())));
    }
  }

  private void register(String name, String source) {
    HttpResponse<String> answer = server.put(name, "kept/" + source);
    if (answer.statusCode() == 429) {
      refused.incrementAndGet();
      return;
    }
    assertEquals(
        registered.containsKey(name) ? 200 : 201, answer.statusCode(), () -> answer.body());
    sourceOf.put(name + "@" + ServerProcess.json(answer).get("version").asInt(), source);
    registered.put(name, true);
    swaps.incrementAndGet();
  }

  private void remove(String name) {
    HttpResponse<String> answer =
        server.send(server.request("/admin/adapters/" + name).DELETE().build());
    assertEquals(200, answer.statusCode(), answer.body());
    registered.remove(name);
    removals.incrementAndGet();
  }

  /** Nobody asks any more. */
  void removeAll() {
    List.copyOf(registered.keySet()).forEach(this::remove);
  }

  /** What the base says now, against what it said at first. */
  void assertBaseAnswersAsAtFirst() {
    assertEquals(alone.get(BASE_SOURCE), answersOf(base));
  }
}
