package io.chorale.train.data.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.train.data.PromptForm;
import io.chorale.train.data.SftEncoder;
import io.chorale.train.data.SmolLm2;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The summary, and the cleaned file read back. */
class DataReportTest {
  @TempDir Path folder;

  private DataReport check(Path file, Optional<Path> cleanTo, boolean tokens) throws IOException {
    CheckOptions options =
        new CheckOptions(List.of(file), Optional.empty(), Optional.empty(), 10, 4096, cleanTo);
    Optional<SftEncoder> encoder =
        tokens
            ? Optional.of(new SftEncoder(SmolLm2.source(), PromptForm.CHAT_TEMPLATE, 64))
            : Optional.empty();
    return new DataCheck(options, encoder, List.of(), (f, r, b) -> {}).run();
  }

  private Path dirty() throws IOException {
    return Files.writeString(
        folder.resolve("dirty.jsonl"),
        """
        {"instruction":" padded question","input":"","output":"an answer, \\"quoted\\"\\nwith lines\\n","topic":"rent"}
        {"instruction":"dropped","input":"","output":"","topic":"none"}
        {"instruction":"bell","input":"","output":"a bell\\u0007 rings Grüße 😀","topic":"noise"}
        """);
  }

  @ParameterizedTest
  @ValueSource(strings = {"clean.jsonl", "clean.json", "clean.csv"})
  void cleanedFileHoldsTheKeptRowsPutRightAndHasNoFindings(String name) throws IOException {
    // Given
    Path clean = folder.resolve(name);
    // When
    DataReport before = check(dirty(), Optional.of(clean), false);
    Path again = folder.resolve("again.jsonl");
    DataReport after = check(clean, Optional.of(again), false);
    // Then
    assertEquals(1, before.dropped());
    assertEquals(List.of(), after.findings());
    var json = new ObjectMapper();
    List<Map<String, Object>> rows =
        Files.readAllLines(again).stream()
            .map(
                line -> {
                  try {
                    return json.readValue(line, new TypeReference<Map<String, Object>>() {});
                  } catch (IOException e) {
                    throw new java.io.UncheckedIOException(e);
                  }
                })
            .toList();
    assertEquals(
        List.of(
            Map.of(
                "instruction", "padded question",
                "input", "",
                "output", "an answer, \"quoted\"\nwith lines",
                "topic", "rent"),
            Map.of(
                "instruction", "bell",
                "input", "",
                "output", "a bell rings Grüße 😀",
                "topic", "noise")),
        rows);
  }

  @Test
  void cleaningInPlaceReplacesTheFileOnlyWhenWhole() throws IOException {
    // Given
    Path file = dirty();
    // When
    check(file, Optional.of(file), false);
    // Then
    assertEquals(2, Files.readAllLines(file).size());
    try (var left = Files.list(folder)) {
      assertEquals(List.of(file), left.toList());
    }
  }

  @Test
  void nestedRowsAreNotWrittenAsCsv() throws IOException {
    // Given
    Path file =
        Files.writeString(
            folder.resolve("a.jsonl"),
            "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}\n");
    Path clean = folder.resolve("clean.csv");
    // When
    var refused =
        assertThrows(IllegalArgumentException.class, () -> check(file, Optional.of(clean), false));
    // Then
    assertTrue(refused.getMessage().contains("nested field 'messages'"), refused.getMessage());
    assertTrue(Files.notExists(clean));
  }

  @Test
  void lengthsAreThoseBeforeCuttingAndSharesThoseAfter() throws IOException {
    // Given
    Path file =
        Files.writeString(
            folder.resolve("a.jsonl"),
            """
            {"instruction":"short one","output":"a short answer"}
            {"instruction":"long one","output":"%s"}
            """
                .formatted("a ".repeat(300).strip()));
    // When
    DataReport report = check(file, Optional.empty(), true);
    // Then
    DataReport.TokenCounts tokens = report.tokens();
    assertEquals(1, tokens.truncated());
    assertTrue(tokens.percentile(100) > 300, "" + tokens.percentile(100));
    assertTrue(tokens.used() < 128, "" + tokens.used());
    assertTrue(tokens.trainedShare() > 0.2 && tokens.trainedShare() < 0.6);
    assertEquals(2, tokens.histogram().values().stream().mapToInt(Integer::intValue).sum());
    assertTrue(report.text(10).contains("1 rows truncated"), report.text(10));
  }

  @Test
  void findingsBeyondTheShownAreCountedNotForgotten() throws IOException {
    // Given
    Path file =
        Files.writeString(
            folder.resolve("a.jsonl"),
            "{\"text\":\"\"}\n".repeat(30) + "{\"text\":\"good text\"}\n");
    // When
    String text = check(file, Optional.empty(), false).text(5);
    // Then
    assertEquals(5, text.lines().filter(l -> l.contains("error empty:")).count());
    assertTrue(text.contains("... and 25 more of empty; --report lists all"), text);
    assertTrue(text.contains("rows 31, kept 1, dropped 30"), text);
  }
}
