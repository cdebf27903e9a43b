package io.chorale.train.data.check;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import de.siegmar.fastcsv.writer.CsvWriter;
import io.chorale.train.data.DataFile;
import java.io.BufferedWriter;
import java.io.Closeable;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Writes rows with their texts put right, every field kept, as JSONL, a JSON array or CSV by the
 * name's ending. The file appears under its name when whole: {@link #keep}. One thread.
 */
final class CleanFile implements Closeable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path file;
  private final Path part;
  private final BufferedWriter out;
  private final String ending;
  private CsvWriter csv;
  private List<String> header;
  private boolean empty = true;

  /**
   * @throws IllegalArgumentException if the ending is of no kind that is written
   */
  CleanFile(Path file) throws IOException {
    this.file = file;
    this.ending = DataFile.ending(file);
    if (!List.of("jsonl", "ndjson", "json", "csv").contains(ending)) {
      throw new IllegalArgumentException(
          "--write-clean %s: ending '%s' is not written, wanted .jsonl, .json or .csv"
              .formatted(file, ending));
    }
    this.part = file.resolveSibling(file.getFileName() + ".part");
    this.out = Files.newBufferedWriter(part, StandardCharsets.UTF_8);
  }

  void write(Map<String, Object> fields) throws IOException {
    Object cleaned = cleaned(fields);
    switch (ending) {
      case "csv" -> csv((Map<?, ?>) cleaned);
      case "json" -> out.append(empty ? "[\n" : ",\n").append(json(cleaned));
      default -> out.append(json(cleaned)).append('\n');
    }
    empty = false;
  }

  private static String json(Object value) throws JsonProcessingException {
    return JSON.writeValueAsString(value);
  }

  private void csv(Map<?, ?> fields) {
    List<String> names = fields.keySet().stream().map(String::valueOf).toList();
    if (csv == null) {
      header = names;
      csv = CsvWriter.builder().build(out);
      csv.writeRecord(header);
    }
    List<String> values = new ArrayList<>();
    for (String name : header) {
      Object value = fields.get(name);
      if (value instanceof Map || value instanceof List) {
        throw new IllegalArgumentException(
            "--write-clean %s: CSV has no room for the nested field '%s'; write .jsonl"
                .formatted(file, name));
      }
      values.add(value == null ? "" : String.valueOf(value));
    }
    if (!header.containsAll(names)) {
      throw new IllegalArgumentException(
          "--write-clean %s: a row has the fields %s, the first row %s; write .jsonl"
              .formatted(file, names, header));
    }
    csv.writeRecord(values);
  }

  /** Every string of a row, but not the names of fields. */
  static Object cleaned(Object value) {
    if (value instanceof String text) {
      return TextCheck.cleaned(text);
    }
    if (value instanceof List<?> list) {
      List<Object> copy = new ArrayList<>();
      list.forEach(element -> copy.add(cleaned(element)));
      return copy;
    }
    if (value instanceof Map<?, ?> map) {
      Map<Object, Object> copy = new LinkedHashMap<>();
      map.forEach((name, element) -> copy.put(name, cleaned(element)));
      return copy;
    }
    return value;
  }

  /** Ends the file and gives it its name. */
  void keep() throws IOException {
    if (ending.equals("json")) {
      out.append(empty ? "[]\n" : "\n]\n");
    }
    if (csv != null) {
      csv.close(); // holds a buffer of its own
    }
    out.close();
    Files.move(part, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
  }

  @Override
  public void close() throws IOException {
    out.close();
    Files.deleteIfExists(part);
  }
}
