package io.chorale.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The packaged server as a process on 127.0.0.1, on a port of the system's choice. */
public final class ServerProcess implements AutoCloseable {
  /** The model of tests that need no sense in the answers; it has an API name of its own. */
  public static final Path TINY_MODEL = Path.of("src/test/resources/golden/models/llama");

  public static final String TINY = "llama";

  private static final Path JAR = Path.of("target/quarkus-app/quarkus-run.jar");
  private static final Path LOGS = Path.of("target/it");
  private static final Pattern LISTENING = Pattern.compile("Listening on: (http://[0-9.]+:\\d+)");
  private static final ObjectMapper JSON = new ObjectMapper();

  /** For a server that hangs, not for a slow one. */
  private static final Duration PATIENCE = Duration.ofMinutes(3);

  private static final Duration POLL = Duration.ofMillis(20);

  /** The server gives the same text of metrics for 100 ms. */
  private static final Duration METRICS_KEPT = Duration.ofMillis(110);

  private final Process process;
  private final Path log;
  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private String url;

  private ServerProcess(Process process, Path log) {
    this.process = process;
    this.log = log;
  }

  /**
   * Starts and waits until it listens.
   *
   * @param name of its log, target/it/NAME.log
   * @param options of {@code serve}, without host and port
   */
  public static ServerProcess start(String name, List<String> options) {
    return start(name, List.of("-Xmx512m"), options);
  }

  /** As the other, with options of the JVM. */
  static ServerProcess start(String name, List<String> jvm, List<String> options) {
    assertTrue(Files.isRegularFile(JAR), JAR + " is not there; run mvn package first");
    List<String> command = new ArrayList<>(List.of(jdk("java"), "-XX:+UseSerialGC"));
    command.addAll(jvm);
    command.add("-Dorg.bytedeco.javacpp.maxPhysicalBytes=0");
    command.add("-Dorg.bytedeco.javacpp.maxBytes=0");
    command.addAll(List.of("-jar", JAR.toString(), "serve", "--host", "127.0.0.1", "--port", "0"));
    command.addAll(options);
    try {
      Files.createDirectories(LOGS);
      Path log = LOGS.resolve(name + ".log");
      ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
      builder.environment().keySet().removeIf(key -> key.startsWith("CHORALE_"));
      ServerProcess server =
          new ServerProcess(builder.redirectOutput(log.toFile()).start(), log.toAbsolutePath());
      server.awaitListening();
      return server;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A program of the JDK that runs the test. */
  static String jdk(String program) {
    return Path.of(System.getProperty("java.home"), "bin", program).toString();
  }

  private void awaitListening() throws IOException {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (System.nanoTime() < deadline && process.isAlive()) {
      Matcher matcher = LISTENING.matcher(Files.readString(log));
      if (matcher.find()) {
        url = matcher.group(1);
        return;
      }
      pause(POLL);
    }
    String said = Files.readString(log);
    kill();
    throw new AssertionError("the server did not start; it said:\n" + said);
  }

  /** {@code http://127.0.0.1:PORT}, without {@code /v1}. */
  public String url() {
    return url;
  }

  long pid() {
    return process.pid();
  }

  HttpClient client() {
    return client;
  }

  /** A request to build on. */
  HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create(url + path))
        .timeout(PATIENCE)
        .header("Content-Type", "application/json");
  }

  HttpRequest chat(String model, String question, String moreFields) {
    return request("/v1/chat/completions").POST(chatBody(model, question, moreFields)).build();
  }

  static HttpRequest.BodyPublisher chatBody(String model, String question, String moreFields) {
    return BodyPublishers.ofString(chatJson(model, question, moreFields));
  }

  /** A greedy chat of one question. */
  static String chatJson(String model, String question, String moreFields) {
    return """
        {"model": %s, "messages": [{"role": "user", "content": %s}], "temperature": 0%s}"""
        .formatted(quoted(model), quoted(question), moreFields.isEmpty() ? "" : ", " + moreFields);
  }

  private static String quoted(String text) {
    try {
      return JSON.writeValueAsString(text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  HttpResponse<String> send(HttpRequest request) {
    try {
      return client.send(request, BodyHandlers.ofString());
    } catch (IOException e) {
      throw new UncheckedIOException("no answer from the server, its log is " + log, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  HttpResponse<String> get(String path) {
    return send(request(path).GET().build());
  }

  /** Registers or replaces an adapter. */
  HttpResponse<String> put(String adapter, String path) {
    String body = "{\"path\": " + quoted(path) + "}";
    return send(request("/admin/adapters/" + adapter).PUT(BodyPublishers.ofString(body)).build());
  }

  static JsonNode json(HttpResponse<String> response) {
    return json(response.body());
  }

  static JsonNode json(String text) {
    try {
      return JSON.readTree(text);
    } catch (IOException e) {
      throw new UncheckedIOException("not JSON: " + text, e);
    }
  }

  /** The text of a chat answer that must be there. */
  static String content(HttpResponse<String> response) {
    assertEquals(200, response.statusCode(), response.body());
    return json(response).at("/choices/0/message/content").asText();
  }

  /** Every series of {@code /metrics}, by name and labels as they are spelled there; as of now. */
  Map<String, Double> metrics() {
    pause(METRICS_KEPT);
    Map<String, Double> all = new HashMap<>();
    get("/metrics")
        .body()
        .lines()
        .filter(line -> !line.startsWith("#") && !line.isBlank())
        .forEach(
            line -> {
              int space = line.lastIndexOf(' ');
              all.put(line.substring(0, space), Double.parseDouble(line.substring(space + 1)));
            });
    return all;
  }

  double metric(String series) {
    return metrics().getOrDefault(series, 0.0);
  }

  /**
   * Waits until nothing runs or waits, then wants every KV block back and no failed step: {@code
   * free + cached + used == total}, used 0.
   */
  void assertIdleAndWhole() {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    Map<String, Double> now = metrics();
    while (busy(now) > 0 && System.nanoTime() < deadline) {
      now = metrics();
    }
    assertEquals(0, busy(now), "sequences or blocks are still held; log: " + log);
    double free = now.get("chorale_kv_blocks{state=\"free\"}");
    double cached = now.get("chorale_kv_blocks{state=\"cached\"}");
    assertEquals(totalBlocks(now), free + cached, "KV blocks lost; log: " + log);
    assertEquals(0, now.get("chorale_failed_steps_total"), "failed steps; log: " + log);
    assertEquals(1, now.get("chorale_engine_alive"));
    assertEquals("ok", json(get("/health")).get("status").asText());
  }

  private static double busy(Map<String, Double> metrics) {
    return metrics.get("chorale_sequences_running")
        + metrics.get("chorale_sequences_waiting")
        + metrics.get("chorale_kv_blocks{state=\"used\"}");
  }

  private static double totalBlocks(Map<String, Double> metrics) {
    String info =
        metrics.keySet().stream()
            .filter(series -> series.startsWith("vllm:cache_config_info"))
            .findFirst()
            .orElseThrow();
    return Double.parseDouble(info.replaceAll(".*num_gpu_blocks=\"(\\d+)\".*", "$1"));
  }

  /** Waits until so many sequences run at least. */
  void awaitRunning(int sequences) {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (json(get("/health")).get("running").asInt() < sequences) {
      assertTrue(
          System.nanoTime() < deadline, "never ran " + sequences + " sequences; log: " + log);
    }
  }

  private static void pause(Duration time) {
    try {
      Thread.sleep(time.toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  /** As {@code kill -9}. */
  void kill() {
    process.destroyForcibly();
    try {
      process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** SIGTERM; the exit code. */
  int stop() {
    close();
    return process.exitValue();
  }

  /** As an orderly stop; a server that does not end within its patience is killed and reported. */
  @Override
  public void close() {
    process.destroy();
    try {
      if (!process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
        kill();
        throw new AssertionError("the server did not stop; log: " + log);
      }
    } catch (InterruptedException e) {
      kill();
      Thread.currentThread().interrupt();
    }
  }
}
