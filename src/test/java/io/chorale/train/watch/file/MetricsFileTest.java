package io.chorale.train.watch.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.train.watch.TrainEvent;
import io.chorale.train.watch.TrainEvent.CheckpointSaved;
import io.chorale.train.watch.TrainEvent.Evaluated;
import io.chorale.train.watch.TrainEvent.Finished;
import io.chorale.train.watch.TrainEvent.Judged;
import io.chorale.train.watch.TrainEvent.NotFinite;
import io.chorale.train.watch.TrainEvent.Sample;
import io.chorale.train.watch.TrainEvent.Started;
import io.chorale.train.watch.TrainEvent.Step;
import io.chorale.train.watch.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MetricsFileTest {
  @TempDir Path folder;

  private static Step step(int step) {
    return new Step(step, step / 10.0, 2.5 / step, 1e-4, 0.5, 100, 80, 1200.5, 1L << 30);
  }

  private static Started started(int first) {
    return new Started("a", Map.of("lr", "0.1"), Map.of("rows", "4"), 10, 20, 5, first, 1L << 31);
  }

  private Path write(List<TrainEvent> events, int first) throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    try (MetricsFile metrics = MetricsFile.open(file, first)) {
      for (TrainEvent event : events) {
        metrics.write(event, 1_700_000_000_000L);
      }
    }
    return file;
  }

  @Test
  void everyKindOfEventIsReadBackEqual() throws IOException {
    // Given
    List<TrainEvent> events =
        List.of(
            started(0),
            new Sample("before", "a \"prompt\"\nof two lines", "é", "\u0000"),
            step(1),
            new Step(2, 0.2, Double.NaN, 1e-4, Double.POSITIVE_INFINITY, 1, 1, 1, 1),
            new TrainEvent.Retained(2, 0.021),
            new Evaluated(2, 0.2, 1.5, true, 33),
            new CheckpointSaved(2, "runs/a/checkpoint-2", 4),
            new Judged(
                new Verdict(
                    Verdict.Kind.DIVERGING,
                    true,
                    2,
                    Map.of("loss", 9.5),
                    "it rose",
                    List.of(new Verdict.Remedy("--lr", "1", "0.1", "slower")))),
            new NotFinite(2, "loss", List.of("x.jsonl:3")),
            new Finished(2, "done", 12.5, 1L << 30, "adapters/a"));
    // When
    Path file = write(events, 0);
    // Then
    assertEquals(events, MetricsFile.read(file));
    assertEquals(events.size(), Files.readAllLines(file).size());
  }

  @Test
  void resumingDropsWhatCameAfterTheStepAndATornLine() throws IOException {
    // Given
    Path file =
        write(
            List.of(
                started(0),
                step(1),
                step(2),
                new CheckpointSaved(2, "c", 1),
                step(3),
                new Sample("after", "p", "w", "a")),
            0);
    Files.writeString(file, "{\"event\":\"step\",\"st", StandardOpenOption.APPEND);
    // When
    write(List.of(started(2), step(3)), 2);
    // Then
    assertEquals(
        List.of(started(0), step(1), step(2), new CheckpointSaved(2, "c", 1), started(2), step(3)),
        MetricsFile.read(file));
  }

  @Test
  void fileCutAnywhereReadsAsItsWholeLines() throws IOException {
    // Given
    Path file = write(List.of(started(0), step(1), step(2), step(3)), 0);
    byte[] whole = Files.readAllBytes(file);
    for (int cut = 0; cut <= whole.length; cut += 7) {
      // When
      Path torn = folder.resolve("torn.jsonl");
      Files.write(torn, java.util.Arrays.copyOf(whole, cut));
      // Then
      List<TrainEvent> read = MetricsFile.read(torn);
      assertEquals(MetricsFile.read(file).subList(0, read.size()), read);
      assertTrue(read.size() <= 4);
    }
  }

  @Test
  void newRunInTheSamePlaceStartsEmpty() throws IOException {
    // Given
    write(List.of(started(0), step(1)), 0);
    // When
    Path file = write(List.of(started(0)), 0);
    // Then
    assertEquals(List.of(started(0)), MetricsFile.read(file));
  }
}
