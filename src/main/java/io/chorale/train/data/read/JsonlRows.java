package io.chorale.train.data.read;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** One JSON object a line. Blank lines are no rows. A damaged line costs that row alone. */
public final class JsonlRows implements RowSource {
  private final Path file;
  private final LineBytes lines;
  private final Utf8Check utf8 = new Utf8Check();

  public JsonlRows(Path file) throws IOException {
    this.file = file;
    this.lines = new LineBytes(file);
  }

  @Override
  public RawRow next() throws IOException {
    for (int length = lines.next(); length >= 0; length = lines.next()) {
      byte[] line = lines.bytes();
      long lineNumber = lines.number();
      List<Finding> findings = new ArrayList<>();
      int from = 0;
      if (lineNumber == 1 && Utf8Check.isBom(line, length)) {
        findings.add(Utf8Check.bom(file));
        from = 3;
      }
      int bad = utf8.firstBad(line, length);
      if (bad >= 0) {
        findings.add(Utf8Check.finding(file, lineNumber, lines.start() + bad, line[bad]));
        return new RawRow(lineNumber, Optional.empty(), findings);
      }
      String text = new String(line, from, length - from, StandardCharsets.UTF_8).strip();
      if (!text.isEmpty()) {
        return parse(text, lineNumber, findings);
      }
    }
    return null;
  }

  private RawRow parse(String text, long lineNumber, List<Finding> findings) {
    Map<String, Object> fields = null;
    try {
      if (text.charAt(0) == '{') {
        fields = JsonRecords.MAPPER.readValue(text, JsonRecords.OBJECT);
      } else {
        Object other = JsonRecords.MAPPER.readValue(text, Object.class);
        findings.add(JsonRecords.notAnObject(file, lineNumber, other));
      }
    } catch (JsonProcessingException e) {
      findings.add(
          new Finding(
              file,
              lineNumber,
              Finding.Kind.UNREADABLE,
              "",
              JsonRecords.reason(e),
              "write the line again, whole; one JSON object a line"));
    }
    return new RawRow(lineNumber, Optional.ofNullable(fields), findings);
  }

  @Override
  public long bytesRead() {
    return lines.bytesRead();
  }

  @Override
  public void close() throws IOException {
    lines.close();
  }
}
