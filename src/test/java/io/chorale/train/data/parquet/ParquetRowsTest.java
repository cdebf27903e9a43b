package io.chorale.train.data.parquet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.train.data.read.RawRow;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that pyarrow wrote, against the rows that pyarrow reads. */
class ParquetRowsTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden/parquet");
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path temp;

  private static List<RawRow> read(Path file) throws IOException {
    List<RawRow> rows = new ArrayList<>();
    try (ParquetRows source = new ParquetRows(file)) {
      for (RawRow row = source.next(); row != null; row = source.next()) {
        rows.add(row);
      }
    }
    return rows;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "v1-none",
        "v1-snappy",
        "v1-gzip",
        "v1-zstd",
        "v1-lz4",
        "v2-snappy",
        "pages-and-groups",
        "plain",
        "delta",
        "old-lists",
        "no-rows"
      })
  void everyRowIsTheOneThatPyarrowReads(String name) throws IOException {
    // When
    List<RawRow> rows = read(GOLDEN.resolve(name + ".parquet"));
    // Then
    List<String> wanted = Files.readAllLines(GOLDEN.resolve(name + ".jsonl"));
    assertEquals(wanted.size(), rows.size());
    for (int i = 0; i < wanted.size(); i++) {
      assertEquals(i + 1, rows.get(i).line());
      JsonNode had = JSON.readTree(JSON.writeValueAsString(rows.get(i).fields().orElseThrow()));
      assertEquals(JSON.readTree(wanted.get(i)).toPrettyString(), had.toPrettyString(), "row " + i);
    }
  }

  @Test
  void fileThatIsCutShortIsNamed() throws IOException {
    // Given
    byte[] whole = Files.readAllBytes(GOLDEN.resolve("v1-snappy.parquet"));
    Path file = temp.resolve("cut.parquet");
    Files.write(file, Arrays.copyOf(whole, whole.length / 2));
    // When
    IOException refused = assertThrows(IOException.class, () -> read(file));
    // Then
    assertTrue(refused.getMessage().startsWith(file + ": is no whole Parquet file"));
  }

  @Test
  void damagedBytesEndInAnErrorThatNamesTheFileOrInRowsButNeverInAnotherFailure()
      throws IOException {
    // Given
    byte[] whole = Files.readAllBytes(GOLDEN.resolve("pages-and-groups.parquet"));
    Random random = new Random(5);
    Path file = temp.resolve("damaged.parquet");
    int refused = 0;
    for (int round = 0; round < 300; round++) {
      byte[] damaged = whole.clone();
      for (int i = 0; i <= round % 4; i++) {
        damaged[4 + random.nextInt(whole.length - 12)] = (byte) random.nextInt(256);
      }
      Files.write(file, damaged);
      // When
      try {
        read(file);
      } catch (IOException e) {
        refused++;
        // Then
        assertTrue(e.getMessage().startsWith(file.toString()), e.getMessage());
      }
    }
    assertTrue(refused > 100, "only " + refused + " of 300 noticed");
  }
}
