package io.chorale.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.chorale.app.adapter.PushCommand;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** {@code chorale push} to a running server; canaries are PEFT's own logits of the adapters. */
class PushedAdapterIT {
  private static final Path ADAPTERS = Path.of("src/test/resources/golden/adapters");

  @TempDir static Path temp;
  private static Path root;
  private static ServerProcess server;

  @BeforeAll
  static void start() throws IOException {
    root = Files.createDirectory(temp.resolve("root"));
    server =
        ServerProcess.start(
            "pushed-adapter",
            List.of(
                "--model", ServerProcess.TINY_MODEL.toString(), "--adapter-root", root.toString()));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  /** An adapter's folder with the logits of one (perhaps another) adapter as its canary. */
  private static Path folder(String name, String adapter, String canaryOf) throws IOException {
    Path folder = Files.createDirectories(temp.resolve(name));
    for (String file : List.of("adapter_config.json", "adapter_model.safetensors")) {
      Files.copy(ADAPTERS.resolve(adapter).resolve(file), folder.resolve(file));
    }
    ObjectMapper json = new ObjectMapper();
    JsonNode prompt =
        json.readTree(ADAPTERS.resolve(canaryOf).resolve("logits.json").toFile()).at("/prompts/0");
    ObjectNode canary = json.createObjectNode();
    canary.set("ids", prompt.get("ids"));
    var logprobs = canary.putArray("logprobs");
    for (int i = 1; i < prompt.get("ids").size(); i++) {
      logprobs.add(logprob(prompt.at("/logits/" + (i - 1)), prompt.at("/ids/" + i).asInt()));
    }
    json.writeValue(
        folder.resolve("chorale.json").toFile(), json.createObjectNode().set("canary", canary));
    return folder;
  }

  private static double logprob(JsonNode logits, int token) {
    double sum = 0;
    for (JsonNode logit : logits) {
      sum += Math.exp(logit.asDouble());
    }
    return logits.get(token).asDouble() - Math.log(sum);
  }

  private record Ended(int code, String out, String err) {}

  private static Ended push(Path folder, String... options) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine line =
        new CommandLine(new PushCommand())
            .setOut(new PrintWriter(out, true))
            .setErr(new PrintWriter(err, true))
            .setExecutionExceptionHandler(
                (failure, at, parsed) -> {
                  at.getErr().println(failure.getMessage());
                  return 1;
                });
    String[] all =
        Stream.concat(Stream.of(folder.toString(), "--server", server.url()), Stream.of(options))
            .toArray(String[]::new);
    return new Ended(line.execute(all), out.toString(), err.toString());
  }

  private static JsonNode adapter(String name) {
    return ServerProcess.json(server.get("/admin/adapters/" + name));
  }

  private static long folders(String kind) throws IOException {
    Path parent = root.resolve(kind);
    if (!Files.isDirectory(parent)) {
      return 0;
    }
    try (Stream<Path> children = Files.list(parent)) {
      return children.count();
    }
  }

  @Test
  void pushedAdapterAnswersAndAWrongOneLeavesTheNameAsItWas() throws IOException {
    // Given
    Path right = folder("right", "rslora", "rslora");
    Path wrong = folder("wrong", "dora", "rslora");
    Path next = folder("next", "dora", "dora");
    // When
    Ended first = push(right, "--name", "p");
    JsonNode published = adapter("p");
    Ended refused = push(wrong, "--name", "p");
    // Then
    assertEquals(0, first.code(), first.err());
    assertTrue(first.out().contains("version 1 of 'p'"), first.out());
    assertTrue(first.out().contains("checked against the trainer's canary"), first.out());
    assertEquals("rslora", published.path("method").asText());
    assertEquals(1, refused.code());
    assertTrue(refused.err().contains("its canary failed"), refused.err());
    assertEquals(published.path("version"), adapter("p").path("version"));
    assertEquals(published.path("sha256"), adapter("p").path("sha256"));
    assertFalse(
        ServerProcess.content(server.send(server.chat("p", "hi", "\"max_tokens\": 4"))).isEmpty());
    // When
    Ended second = push(next, "--name", "p", "--expected-version", "1");
    Ended late = push(right, "--name", "p", "--expected-version", "1");
    // Then
    assertEquals(0, second.code(), second.err());
    assertEquals("dora", adapter("p").path("method").asText());
    assertEquals(1, late.code());
    assertTrue(late.err().contains("is at version 2, the request expected 1"), late.err());
    assertEquals(1, folders(".pushed"));
    assertEquals(0, folders(".uploads"));
  }

  @Test
  void folderThatIsNoAdapterIsRefusedAndNothingStays() throws IOException {
    // Given
    Path folder = folder("broken", "rslora", "rslora");
    Files.write(folder.resolve("adapter_model.safetensors"), new byte[100]);
    // When
    Ended ended = push(folder, "--name", "broken");
    // Then
    assertEquals(1, ended.code());
    assertTrue(ended.err().contains("adapter 'broken'"), ended.err());
    assertEquals(404, server.get("/admin/adapters/broken").statusCode());
    assertEquals(0, folders(".uploads"));
  }

  @Test
  void adapterWithoutACanaryIsTakenAndSaysSo() throws IOException {
    // Given
    Path folder = folder("plain", "lora-all-linear", "rslora");
    Files.delete(folder.resolve("chorale.json"));
    // When
    Ended ended = push(folder);
    // Then
    assertEquals(0, ended.code(), ended.err());
    assertTrue(ended.out().contains("without a canary"), ended.out());
    assertEquals("lora", adapter("plain").path("method").asText());
    assertEquals(
        200, server.send(server.request("/admin/adapters/plain").DELETE().build()).statusCode());
  }
}
