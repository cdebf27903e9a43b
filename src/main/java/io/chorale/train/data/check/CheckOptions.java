package io.chorale.train.data.check;

import io.chorale.train.data.RecordFormat;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * What to check and what is out of bounds.
 *
 * @param files one or more, each with a format of its own
 * @param evalData rows that must not occur in {@code files}
 * @param format empty: told from the fields, for each file
 * @param minChars shortest answer, in characters
 * @param maxChars longest answer, in characters
 * @param cleanTo where to write the rows that are not dropped, put right; {@code .jsonl}, {@code
 *     .json} or {@code .csv}
 */
public record CheckOptions(
    List<Path> files,
    Optional<Path> evalData,
    Optional<RecordFormat> format,
    int minChars,
    int maxChars,
    Optional<Path> cleanTo) {
  public CheckOptions {
    files = List.copyOf(files);
    if (minChars < 0 || maxChars < minChars) {
      throw new IllegalArgumentException(
          "min-chars is %d and max-chars %d, wanted 0 <= min-chars <= max-chars"
              .formatted(minChars, maxChars));
    }
  }
}
