package io.chorale.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DataCommandTest {
  private static final String TINY = "src/test/resources/golden/models/llama";

  @TempDir Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private Path file;

  @BeforeEach
  void writeData() throws IOException {
    file =
        Files.writeString(
            folder.resolve("my.jsonl"),
            """
            {"instruction":"first","output":"a long enough answer"}
            {"instruction":"second","output":"  "}
            """);
  }

  private int check(String... args) {
    String[] all = new String[args.length + 3];
    all[0] = "data";
    all[1] = "check";
    all[2] = file.toString();
    System.arraycopy(args, 0, all, 3, args.length);
    return Main.execute(new PrintWriter(out, true), new PrintWriter(err, true), all);
  }

  @Test
  void errorsAreToldAndExitWithZeroUnlessStrict() {
    // When
    int code = check("--no-tokens");
    int strict = check("--no-tokens", "--strict");
    // Then
    assertEquals(0, code, err.toString());
    assertEquals(3, strict, err.toString());
    assertTrue(out.toString().contains("my.jsonl: alpaca (from the fields"), out.toString());
    assertTrue(
        out.toString().contains("my.jsonl:2: error empty: output is empty; fill it in"),
        out.toString());
  }

  @Test
  void reportListsFindingsAndTokensForPrograms() throws IOException {
    // Given
    Path report = folder.resolve("report.json");
    // When
    int code = check("--model", TINY, "--report", report.toString());
    // Then
    assertEquals(0, code, err.toString());
    JsonNode json = new ObjectMapper().readTree(report.toFile());
    assertEquals(2, json.at("/findings/0/line").asInt());
    assertEquals("output", json.at("/findings/0/field").asText());
    assertTrue(json.at("/tokens/trained").asInt() > 0, json.toString());
  }

  @Test
  void unknownFormatIsWrongUsageThatNamesTheKnown() {
    // When
    int code = check("--no-tokens", "--format", "alpacca");
    // Then
    assertEquals(2, code);
    assertTrue(
        err.toString().contains("'alpacca', wanted one of [alpaca, messages"), err.toString());
  }

  @Test
  void dataWithoutCommandIsWrongUsage() {
    // When
    int code = Main.execute(new PrintWriter(out, true), new PrintWriter(err, true), "data");
    // Then
    assertEquals(2, code);
    assertTrue(err.toString().contains("chorale data --help"), err.toString());
  }
}
