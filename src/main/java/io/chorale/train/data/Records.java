package io.chorale.train.data;

import io.chorale.train.data.read.RawRow;
import io.chorale.train.data.read.RowSource;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The rows of one data file in one format, given or told from the first rows' fields. */
public final class Records implements Closeable {
  private static final int LOOKED_AT = 100;

  private final Path file;
  private final RowSource source;
  private final ArrayDeque<RawRow> ahead = new ArrayDeque<>();
  private RecordFormat format;
  private String because;

  private Records(Path file, RowSource source) {
    this.file = file;
    this.source = source;
  }

  /**
   * @param format empty: from the fields of the first row that has a known set of them
   * @throws IOException if the file cannot be read
   * @throws IllegalArgumentException if the file's kind is not read, or none of its first 100 rows
   *     has the fields of a format
   */
  public static Records open(Path file, Optional<RecordFormat> format) throws IOException {
    Records records = new Records(file, DataFile.open(file));
    try {
      if (format.isPresent()) {
        records.format = format.get();
        records.because = "as told";
      } else {
        records.detect();
      }
      return records;
    } catch (IOException | RuntimeException e) {
      records.close();
      throw e;
    }
  }

  private void detect() throws IOException {
    String seen = "no row that can be read";
    for (int i = 0; i < LOOKED_AT; i++) {
      RawRow row = source.next();
      if (row == null) {
        break;
      }
      ahead.add(row);
      if (row.fields().isPresent()) {
        Optional<RecordFormat> found = RecordFormat.detect(row.fields().get().keySet());
        if (found.isPresent()) {
          format = found.get();
          because =
              "from the fields %s of line %d".formatted(row.fields().get().keySet(), row.line());
          return;
        }
        seen = "fields " + row.fields().get().keySet();
      }
    }
    throw new IllegalArgumentException(
        "%s: has %s, which is no known format; wanted %s; rename the columns"
            .formatted(
                file,
                seen,
                Stream.of(RecordFormat.values())
                    .map(f -> f.required().stream().sorted().collect(Collectors.joining("+")))
                    .collect(Collectors.joining(", "))));
  }

  public RecordFormat format() {
    return format;
  }

  /** {@code data.jsonl: alpaca (from the fields [...] of line 1)}. */
  public String detection() {
    return "%s: %s (%s)".formatted(file, format.label(), because);
  }

  /**
   * @return the next row as the file has it, null after the last; hand it to {@link #parse}, on any
   *     thread
   */
  public RawRow next() throws IOException {
    return ahead.isEmpty() ? source.next() : ahead.poll();
  }

  public ParsedRow parse(RawRow row) {
    return RowParser.parse(file, format, row);
  }

  public long bytesRead() {
    return source.bytesRead();
  }

  @Override
  public void close() throws IOException {
    source.close();
  }
}
