package io.chorale.train.data.read;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Opens a data file by the ending of its name: {@code .jsonl .ndjson .json .csv .tsv}. A {@code
 * .json} file is an array of objects, or one object a line.
 *
 * <p>Parquet is refused by name. The reader that is made for Java 17 brings 16 MB of libraries and
 * reads no nested columns, which conversations are; the others need Java 21 or Hadoop.
 */
public final class DataFile {
  private DataFile() {}

  /**
   * @throws NoSuchFileException if there is no such file
   * @throws IllegalArgumentException if the ending is of no kind that is read, with the way out
   */
  public static RowSource open(Path file) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new NoSuchFileException(file + ": no such data file");
    }
    String ending = ending(file);
    return switch (ending) {
      case "jsonl", "ndjson" -> new JsonlRows(file);
      case "json" -> startsWithArray(file) ? new JsonArrayRows(file) : new JsonlRows(file);
      case "csv" -> new CsvRows(file, ',');
      case "tsv" -> new CsvRows(file, '\t');
      case "parquet" ->
          throw new IllegalArgumentException(
              "%s: Parquet is not read; write it as JSONL first, for example with DuckDB: COPY (FROM '%s') TO '%s' (FORMAT json)"
                  .formatted(file, file, withoutEnding(file) + ".jsonl"));
      default ->
          throw new IllegalArgumentException(
              "%s: ending '%s' is of no kind that is read, wanted .jsonl, .json, .csv or .tsv"
                  .formatted(file, ending));
    };
  }

  /** Lower case, without the dot; empty if there is none. */
  public static String ending(Path file) {
    String name = file.getFileName().toString();
    int dot = name.lastIndexOf('.');
    return dot < 0 ? "" : name.substring(dot + 1).toLowerCase(Locale.ROOT);
  }

  private static String withoutEnding(Path file) {
    String name = file.toString();
    return name.substring(0, name.length() - ".parquet".length());
  }

  private static boolean startsWithArray(Path file) throws IOException {
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file))) {
      int b = in.read();
      while (b == 0xEF || b == 0xBB || b == 0xBF || b == ' ' || b == '\t' || b == '\r'
          || b == '\n') {
        b = in.read();
      }
      return b == '[';
    }
  }
}
