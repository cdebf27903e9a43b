package io.chorale.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Ctrl-C at {@code chorale train}: the process that a user sees, on the tiny model. */
class StoppedTrainingIT {
  private static final Pattern STOPPED = Pattern.compile("stopped after step (\\d+), (\\S+) is");

  @TempDir Path folder;

  private Process train(String... more) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
                "-Dorg.bytedeco.javacpp.maxBytes=0",
                "-Xmx256m",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName(),
                "train",
                "--model",
                Path.of("src/test/resources/golden/models/llama").toString()));
    command.addAll(List.of("--data", folder.resolve("my.jsonl").toString(), "--name", "tiny"));
    command.addAll(List.of("--out", folder.resolve("tiny").toString()));
    command.addAll(List.of("--run-dir", folder.resolve("run").toString()));
    command.addAll(List.of("--compute", "f32", "--threads", "1", "--max-steps", "1000000"));
    command.addAll(List.of(more));
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }

  /** Sends SIGINT once a step is over; what the process said. */
  private static String interrupted(Process process) throws IOException, InterruptedException {
    StringBuilder said = new StringBuilder();
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      boolean sent = false;
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        said.append(line).append('\n');
        if (!sent && line.startsWith("step ")) {
          sent = true;
          String pid = Long.toString(process.pid());
          assertEquals(0, new ProcessBuilder("kill", "-INT", pid).start().waitFor());
        }
      }
      assertTrue(sent, said.toString());
    }
    return said.toString();
  }

  private static int stoppedAfter(String said) {
    Matcher matcher = STOPPED.matcher(said);
    assertTrue(matcher.find(), said);
    assertTrue(Files.isDirectory(Path.of(matcher.group(2))), said);
    return Integer.parseInt(matcher.group(1));
  }

  @Test
  void interruptedTrainingEndsWith130AndGoesOnFromItsCheckpoint() throws Exception {
    // Given
    StringBuilder rows = new StringBuilder();
    for (int i = 0; i < 12; i++) {
      rows.append("{\"instruction\": \"Say %d\", \"output\": \"It is %d.\"}%n".formatted(i, i * i));
    }
    Files.writeString(folder.resolve("my.jsonl"), rows.toString());
    // When
    Process first = train();
    int stopped = stoppedAfter(interrupted(first));
    Process second = train("--resume");
    String said = interrupted(second);
    // Then
    assertEquals(130, first.waitFor());
    assertEquals(130, second.waitFor());
    assertTrue(stoppedAfter(said) > stopped, stopped + " then " + said);
    assertTrue(Files.notExists(folder.resolve("tiny")), "an adapter of a run that is not over");
  }
}
