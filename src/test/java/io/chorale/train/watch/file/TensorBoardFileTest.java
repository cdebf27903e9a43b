package io.chorale.train.watch.file;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.chorale.train.watch.TrainEvent.Evaluated;
import io.chorale.train.watch.TrainEvent.Finished;
import io.chorale.train.watch.TrainEvent.Step;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TensorBoardFileTest {
  private static final long TIME_MS = 1_764_000_000_250L;

  @TempDir Path folder;

  /** The two files that benchmarks/golden/tensorboard_events.py reads with tensorboard itself. */
  static void writeRun(Path folder) throws IOException {
    try (TensorBoardFile file = TensorBoardFile.create(folder, 0, TIME_MS)) {
      for (int s = 1; s <= 4; s++) {
        file.write(
            new Step(s, s / 4.0, 3.0 / s, 1e-4 * s, 0.5 / s, 100, 90, 50, 1L << 30), TIME_MS + s);
      }
      file.write(new Evaluated(4, 1, 1.25, true, 9), TIME_MS + 5);
    }
    try (TensorBoardFile file = TensorBoardFile.create(folder, 2, TIME_MS + 2000)) {
      file.write(new Step(3, 0.75, Double.NaN, 3e-4, 1e30, 300, 1, 50, 3L << 40), TIME_MS + 2001);
      file.write(new Finished(300_000_000, "done", 1, 1, ""), TIME_MS + 2002);
    }
  }

  private static List<Path> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().toList();
    }
  }

  @Test
  void filesEqualThoseThatTensorBoardHasRead() throws IOException {
    // When
    writeRun(folder);
    // Then
    List<Path> written = files(folder);
    assertEquals(2, written.size());
    for (int i = 0; i < 2; i++) {
      try (InputStream golden =
          getClass().getResourceAsStream("/golden/watch/events-" + (i + 1) + ".tfevents")) {
        assertArrayEquals(golden.readAllBytes(), Files.readAllBytes(written.get(i)));
      }
    }
  }

  @Test
  void everyWriteLeavesWholeRecords() throws IOException {
    // Given
    try (TensorBoardFile file = TensorBoardFile.create(folder, 0, TIME_MS)) {
      for (int s = 1; s <= 20; s++) {
        // When
        file.write(new Step(s, 1, 1, 1, 1, 1, 1, 1, 1), TIME_MS);
        // Then
        byte[] bytes = Files.readAllBytes(files(folder).get(0));
        int at = 0;
        int records = 0;
        while (at < bytes.length) {
          int length = bytes[at] & 0xff | (bytes[at + 1] & 0xff) << 8;
          at += 16 + length;
          records++;
        }
        assertEquals(bytes.length, at);
        assertEquals(s + 1, records);
      }
    }
  }

  @Test
  void crcIsThatOfTheStandardAndMasked() {
    // Given
    byte[] nine = "123456789".getBytes(StandardCharsets.US_ASCII);
    // When
    int masked = TensorBoardFile.maskedCrc(nine, 0, 9);
    // Then
    assertEquals(0xe3069283, Integer.rotateLeft(masked - 0xa282ead8, 15)); // RFC 3720's check value
  }
}
