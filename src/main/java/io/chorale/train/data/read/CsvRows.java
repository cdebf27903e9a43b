package io.chorale.train.data.read;

import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.CsvRecord;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * RFC 4180 records under a header line. A quoted field may span lines; a row's line is where it
 * starts. A field that looks like JSON stays text: conversations need JSON files.
 */
public final class CsvRows implements RowSource {
  private final Path file;
  private final DecodedFile decoded;
  private final CsvReader<CsvRecord> reader;
  private final Iterator<CsvRecord> records;
  private final List<String> header;
  private CsvRecord ahead;
  private boolean first = true;
  private boolean done;
  private Finding broken;

  public CsvRows(Path file, char separator) throws IOException {
    this.file = file;
    this.decoded = new DecodedFile(file);
    this.reader =
        CsvReader.builder()
            .fieldSeparator(separator)
            .allowMissingFields(true)
            .allowExtraFields(true)
            .skipEmptyLines(true)
            .ofCsvRecord(decoded.reader());
    this.records = reader.iterator();
    this.header =
        records.hasNext()
            ? records.next().getFields().stream().map(String::strip).toList()
            : List.of();
    if (header.stream().distinct().count() != header.size()) {
      throw new IOException(file + ":1: a column name stands twice in the header " + header);
    }
  }

  @Override
  public RawRow next() throws IOException {
    if (broken != null) {
      RawRow rest = new RawRow(broken.line(), Optional.empty(), List.of(broken));
      broken = null;
      return rest;
    }
    if (done) {
      return null;
    }
    List<Finding> findings = new ArrayList<>();
    Map<String, Object> fields = null;
    long line = 1;
    try {
      CsvRecord record = ahead != null ? ahead : records.hasNext() ? records.next() : null;
      if (record == null) {
        done = true;
        return null;
      }
      line = record.getStartingLineNumber();
      ahead = null;
      fields = fields(record, findings);
      ahead = records.hasNext() ? records.next() : null;
    } catch (CsvParseException e) {
      done = true;
      broken =
          finding(
              line + 1,
              Finding.Kind.UNREADABLE,
              e.getMessage() + "; the rest of the file is unread",
              "close the quotes; a quote inside a quoted field is written twice");
    }
    if (fields == null && findings.isEmpty()) {
      return next();
    }
    long last = ahead != null ? ahead.getStartingLineNumber() - 1 : Long.MAX_VALUE;
    List<Finding> bytes = decoded.findingsUpTo(last, first);
    first = false;
    findings.addAll(0, bytes);
    boolean usable = findings.stream().noneMatch(f -> f.kind().error());
    return new RawRow(line, usable ? Optional.ofNullable(fields) : Optional.empty(), findings);
  }

  private Map<String, Object> fields(CsvRecord record, List<Finding> findings) {
    if (record.getFieldCount() != header.size()) {
      findings.add(
          finding(
              record.getStartingLineNumber(),
              Finding.Kind.UNREADABLE,
              "record has %d fields, the header %d"
                  .formatted(record.getFieldCount(), header.size()),
              "put the field with the separator or line break in it into double quotes"));
    }
    Map<String, Object> fields = new LinkedHashMap<>();
    for (int i = 0; i < Math.min(header.size(), record.getFieldCount()); i++) {
      fields.put(header.get(i), record.getField(i));
    }
    return fields;
  }

  private Finding finding(long line, Finding.Kind kind, String reason, String fix) {
    return new Finding(file, line, kind, "", reason, fix);
  }

  @Override
  public long bytesRead() {
    return decoded.bytesRead();
  }

  @Override
  public void close() throws IOException {
    reader.close();
    decoded.close();
  }
}
