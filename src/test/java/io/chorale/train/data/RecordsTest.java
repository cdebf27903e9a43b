package io.chorale.train.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.train.data.read.Finding;
import io.chorale.train.data.read.RawRow;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files to rows to conversations: formats, lines, and damage that costs no other row. */
class RecordsTest {
  @TempDir Path folder;

  private List<ParsedRow> rows(String name, String content) throws IOException {
    return rows(name, content.getBytes(StandardCharsets.UTF_8));
  }

  private List<ParsedRow> rows(String name, byte[] content) throws IOException {
    Path file = Files.write(folder.resolve(name), content);
    List<ParsedRow> rows = new ArrayList<>();
    try (Records records = Records.open(file, Optional.empty())) {
      for (RawRow row = records.next(); row != null; row = records.next()) {
        rows.add(records.parse(row));
      }
    }
    return rows;
  }

  private static Conversation only(List<ParsedRow> rows) {
    assertEquals(1, rows.size(), rows.toString());
    assertEquals(List.of(), rows.get(0).findings());
    return rows.get(0).conversation().orElseThrow();
  }

  @Test
  void shareGptTurnsBecomeOpenAisRoles() throws IOException {
    // When
    Conversation conversation =
        only(
            rows(
                "a.jsonl",
                """
                {"system":"s","conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]}
                """));
    // Then
    assertEquals(
        List.of(
            Map.of("role", "system", "content", "s"),
            Map.of("role", "user", "content", "q"),
            Map.of("role", "assistant", "content", "a")),
        conversation.messages());
  }

  @Test
  void argumentsOfToolCallsAreOpenedForTheTemplate() throws IOException {
    // When
    Conversation conversation =
        only(
            rows(
                "a.jsonl",
                """
                {"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\\"x\\":1}"}}]},{"role":"tool","content":"2"},{"role":"assistant","content":[{"type":"text","text":"two"}]}],"tools":"[{\\"type\\":\\"function\\"}]"}
                """));
    // Then
    Map<?, ?> call =
        (Map<?, ?>) ((List<?>) conversation.messages().get(1).get("tool_calls")).get(0);
    assertEquals(Map.of("x", 1), ((Map<?, ?>) call.get("function")).get("arguments"));
    assertEquals("two", conversation.messages().get(3).get("content"));
    assertEquals(List.of(Map.of("type", "function")), conversation.tools());
  }

  @Test
  void promptAndCompletionMayBeMessages() throws IOException {
    // When
    Conversation conversation =
        only(
            rows(
                "a.jsonl",
                """
                {"prompt":[{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}]}
                """));
    // Then
    assertEquals("a", conversation.answer());
    assertEquals("user: q\n", conversation.question());
  }

  @Test
  void csvRecordsAreToldByTheLineTheyStartOnAlsoAfterQuotedLineBreaks() throws IOException {
    // When
    List<ParsedRow> rows =
        rows(
            "a.csv",
            "instruction,output\n\"two\nlines\",\"said \"\"yes\"\"\"\nq,a\ntoo,many,fields\nlast,row\n");
    // Then
    assertEquals(List.of(2L, 4L, 5L, 6L), rows.stream().map(ParsedRow::line).toList());
    assertEquals("said \"yes\"", rows.get(0).conversation().orElseThrow().answer());
    assertEquals(Finding.Kind.UNREADABLE, rows.get(2).findings().get(0).kind());
    assertEquals("row", rows.get(3).conversation().orElseThrow().answer());
  }

  @Test
  void badByteCostsItsOwnCsvRecordAndIsToldByItsOffset() throws IOException {
    // Given
    byte[] content = "text\nfine\nbad ?\nfine too\n".getBytes(StandardCharsets.US_ASCII);
    content[14] = (byte) 0xE9;
    // When
    List<ParsedRow> rows = rows("a.csv", content);
    // Then
    assertEquals(3, rows.size());
    assertTrue(rows.get(0).conversation().isPresent());
    assertEquals(
        "byte 0xE9 at byte offset 14 of the file is no UTF-8",
        rows.get(1).findings().get(0).reason());
    assertEquals(3, rows.get(1).findings().get(0).line());
    assertTrue(rows.get(2).conversation().isPresent());
  }

  @Test
  void arrayElementsAreToldByTheLineTheyStartOn() throws IOException {
    // When
    List<ParsedRow> rows =
        rows("a.json", "[\n{\"text\": \"a\"},\n{\n  \"text\": \"b\"\n}, 7,\n{\"text\": 1}]");
    // Then
    assertEquals(List.of(2L, 3L, 5L, 6L), rows.stream().map(ParsedRow::line).toList());
    assertEquals(Finding.Kind.NOT_AN_OBJECT, rows.get(2).findings().get(0).kind());
    assertEquals(Finding.Kind.NOT_A_STRING, rows.get(3).findings().get(0).kind());
  }

  @Test
  void arrayThatBreaksOffKeepsTheRowsBeforeAndSaysThatTheRestIsUnread() throws IOException {
    // When
    List<ParsedRow> rows = rows("a.json", "[{\"text\": \"a\"},\n{\"text\": \"b\n");
    // Then
    assertEquals(2, rows.size());
    assertTrue(rows.get(0).conversation().isPresent());
    String text = rows.get(1).findings().get(0).text();
    assertTrue(text.contains("a.json:2: error unreadable"), text);
    assertTrue(text.contains("is unread"), text);
  }

  @Test
  void jsonFileOfOneObjectALineIsReadAsLines() throws IOException {
    // When
    List<ParsedRow> rows = rows("a.json", "{\"text\": \"a\"}\n\n{\"text\": \"b\"}\n");
    // Then
    assertEquals(List.of(1L, 3L), rows.stream().map(ParsedRow::line).toList());
  }

  @Test
  void fieldsOfNoFormatAreNamedWithThoseThatAreKnown() {
    // When
    var refused =
        assertThrows(
            IllegalArgumentException.class, () -> rows("a.jsonl", "{\"foo\":\"x\",\"bar\":\"y\"}"));
    // Then
    assertTrue(refused.getMessage().contains("has fields [foo, bar]"), refused.getMessage());
    assertTrue(refused.getMessage().contains("instruction+output"), refused.getMessage());
  }

  @Test
  void conversationsOfParquetAreRecognizedByTheirColumns() throws IOException {
    // Given
    Path file = Path.of("src/test/resources/golden/parquet/v1-snappy.parquet");
    // When
    try (Records records = Records.open(file, Optional.empty())) {
      // Then
      assertEquals(RecordFormat.MESSAGES, records.format());
      assertEquals(1, records.next().line());
    }
  }

  @Test
  void everyRowGivesAnExampleOrIsCountedAsDropped() throws IOException {
    // Given
    Path file =
        Files.writeString(
            folder.resolve("a.jsonl"),
            """
            {"instruction":"q","output":"a"}
            {"instruction":"q","output":""}
            {"instruction":"cut
            {"instruction":"%s","output":"a"}
            {"instruction":"q","output":"%s"}
            """
                .formatted("q ".repeat(100), "a ".repeat(100)));
    SftEncoder encoder = new SftEncoder(SmolLm2.source(), PromptForm.CHAT_TEMPLATE, 64);
    // When
    SftData data = SftData.load(file, Optional.empty(), encoder);
    // Then
    assertEquals(5, data.rows());
    assertEquals(3, data.dropped());
    assertEquals(2, data.examples().size());
    assertEquals(1, data.truncated());
    assertEquals(
        List.of("2 empty", "3 unreadable", "4 empty-mask", "5 truncated"),
        data.findings().stream().map(f -> f.line() + " " + f.kind().label()).toList());
  }
}
