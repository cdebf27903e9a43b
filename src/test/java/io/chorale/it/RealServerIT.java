package io.chorale.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.chorale.RealModel;
import io.chorale.RealModelFile;
import io.chorale.engine.GoldenAnswer;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The real model and the adapters of this repository, as README's first command serves them. */
@RealModel
class RealServerIT {
  private static final String BASE = "base";

  /** Golden prompts whose first words are sure: legal is asked LICENCE, base and code FUNCTION. */
  private static final int LICENCE = 2;

  private static final int FUNCTION = 3;

  /** As in the real model's tests of the serving kernels. */
  private static final double GAP = 0.5;

  private static final String KEY = "key-of-the-test";
  private static final Path CLIENTS = Path.of(".ci/clients");
  private static final Path VENV = Path.of("target/clients");

  @TempDir static Path temp;
  private static ServerProcess server;

  @BeforeAll
  static void start() throws IOException {
    Path keys = Files.writeString(temp.resolve("keys"), KEY);
    server =
        ServerProcess.start(
            "real-server",
            List.of(
                "--model",
                RealModelFile.path().toString(),
                "--served-model-name",
                BASE,
                "--adapter-root",
                "adapters",
                "--state-dir",
                temp.resolve("state").toString(),
                "--api-key-file",
                keys.toString(),
                "--kv-memory",
                "256MiB",
                "--max-queued",
                "4",
                "--max-running",
                "4"));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @Test
  void baseLegalAndCodeAnswerTogetherEachInTheReferencesWords() throws IOException {
    // Given
    Map<GoldenAnswer, CompletableFuture<HttpResponse<String>>> sent = new HashMap<>();
    // When
    for (String adapter : List.of(BASE, "legal", "code")) {
      int asked = adapter.equals("legal") ? LICENCE : FUNCTION;
      GoldenAnswer golden = GoldenAnswer.of(adapter).get(asked);
      String question = golden.messages().get(0).get("content").toString();
      String fields = "\"max_tokens\": " + Math.min(32, golden.sureTokens(GAP));
      var request =
          server
              .request("/v1/chat/completions")
              .header("Authorization", "Bearer " + KEY)
              .POST(ServerProcess.chatBody(adapter, question, fields))
              .build();
      sent.put(golden, server.client().sendAsync(request, BodyHandlers.ofString()));
    }
    // Then
    var answers = new HashSet<String>();
    for (GoldenAnswer golden : sent.keySet()) {
      String answer = ServerProcess.content(sent.get(golden).join());
      assertTrue(answer.length() >= 8 && golden.text().startsWith(answer), golden + ": " + answer);
      answers.add(answer);
    }
    assertEquals(3, answers.size(), answers.toString());
    server.assertIdleAndWhole();
  }

  @Test
  void pythonsOpenaiPackageRunsEveryCheck() throws Exception {
    // Given
    String problem = pythonClient();
    if (problem != null) {
      System.err.println("PYTHON'S OPENAI PACKAGE IS NOT TESTED: " + problem);
    }
    assertTrue(problem == null || System.getenv("CHORALE_CI") == null, problem);
    assumeTrue(problem == null, problem);
    // When
    Path log = Path.of("target/it/python-client.log");
    int status =
        run(
            log,
            VENV.resolve("bin/python").toString(),
            CLIENTS.resolve("openai_python.py").toString(),
            "--url",
            server.url(),
            "--model",
            BASE,
            "--adapter",
            "legal",
            "--api-key",
            KEY,
            "--flood",
            "24");
    // Then
    assertEquals(0, status, Files.readString(log));
    server.assertIdleAndWhole();
  }

  /** Installs the package into target; null if it is there, else why it is not. */
  private static String pythonClient() throws Exception {
    Path log = Path.of("target/it/python-install.log");
    Files.createDirectories(log.getParent());
    String requirements = CLIENTS.resolve("requirements.txt").toString();
    try {
      if (!Files.isExecutable(VENV.resolve("bin/python"))
          && run(log, "python3", "-m", "venv", VENV.toString()) != 0) {
        return "python3 -m venv failed: " + Files.readString(log);
      }
      String python = VENV.resolve("bin/python").toString();
      if (run(log, python, "-m", "pip", "install", "-q", "-r", requirements) != 0) {
        return "pip failed: " + Files.readString(log);
      }
      return null;
    } catch (IOException e) {
      return "python3 cannot be run: " + e.getMessage();
    }
  }

  private static int run(Path log, String... command) throws Exception {
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(log.toFile())
        .start()
        .waitFor();
  }
}
