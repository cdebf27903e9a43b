package io.chorale.eval.task;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;

/** What golden/lm-eval holds. */
public final class HarnessGolden {
  private static final Path FOLDER = Path.of("src/test/resources/golden/lm-eval");
  private static final ObjectMapper JSON = new ObjectMapper();

  private HarnessGolden() {}

  public static Path file(String task) {
    return FOLDER.resolve("tasks").resolve(task.replace("hellaswag_", "") + ".yaml");
  }

  public static JsonNode windows() throws IOException {
    return JSON.readTree(FOLDER.resolve("windows.json").toFile());
  }

  public static Path data(String name) {
    return FOLDER.resolve("tasks").resolve(name);
  }

  /** By document. */
  public static List<JsonNode> samples(String task) throws IOException {
    List<JsonNode> samples = new ArrayList<>();
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(
                new GZIPInputStream(Files.newInputStream(FOLDER.resolve(task + ".jsonl.gz"))),
                StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        samples.add(JSON.readTree(line));
      }
    }
    return samples;
  }
}
