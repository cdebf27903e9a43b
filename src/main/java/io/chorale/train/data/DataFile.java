package io.chorale.train.data;

import io.chorale.train.data.parquet.ParquetRows;
import io.chorale.train.data.read.CsvRows;
import io.chorale.train.data.read.JsonArrayRows;
import io.chorale.train.data.read.JsonlRows;
import io.chorale.train.data.read.RowSource;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Opens a data file by the ending of its name: {@code .jsonl .ndjson .json .csv .tsv .parquet}. A
 * {@code .json} file is an array of objects, or one object a line.
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
      case "parquet" -> new ParquetRows(file);
      default ->
          throw new IllegalArgumentException(
              "%s: ending '%s' is of no kind that is read, wanted .jsonl, .json, .csv, .tsv or .parquet"
                  .formatted(file, ending));
    };
  }

  /** Lower case, without the dot; empty if there is none. */
  public static String ending(Path file) {
    String name = file.getFileName().toString();
    int dot = name.lastIndexOf('.');
    return dot < 0 ? "" : name.substring(dot + 1).toLowerCase(Locale.ROOT);
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
