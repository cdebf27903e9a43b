package io.chorale.train.data.read;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * One record of a data file before anyone has asked what it means.
 *
 * @param line 1-based line where it starts (Parquet: the row)
 * @param fields in the file's order; empty if the record cannot be read
 * @param findings what reading found; one of an error kind means that {@code fields} is not to be
 *     used
 */
public record RawRow(long line, Optional<Map<String, Object>> fields, List<Finding> findings) {
  public RawRow {
    findings = List.copyOf(findings);
  }
}
