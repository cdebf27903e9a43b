package io.chorale.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.train.config.Flag;
import io.chorale.train.watch.TrainEvent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ResumeTest {
  @TempDir Path folder;

  private static byte[] weights(Path folder) throws IOException {
    return Files.readAllBytes(folder.resolve("out/adapter_model.safetensors"));
  }

  /** A run that is asked to stop when it has made so many steps; -1: never. */
  private TrainOutcome run(Path place, int stopAfter, String... keysAndValues) throws IOException {
    Map<Flag, List<String>> flags = TinyRun.flags(place, keysAndValues);
    TinyRun[] run = new TinyRun[1];
    run[0] =
        new TinyRun(
            flags,
            TinyRun.rows(18),
            Optional.of(TinyRun.rows(5)),
            event -> {
              if (event instanceof TrainEvent.Step step && step.step() == stopAfter) {
                run[0].trainer.requestStop();
              }
            });
    try (TinyRun opened = run[0]) {
      return opened.trainer.run();
    }
  }

  @Test
  void stoppedAndResumedRunGivesTheBitsOfOneThatWasNot() throws IOException {
    for (String[] how :
        new String[][] {
          {"optimizer", "adamw", "packing", "false", "paged", "false"},
          {"optimizer", "adamw8bit", "packing", "true", "paged", "true"},
          {"retain-data", "kept.jsonl", "retain-batch", "3"}
        }) {
      // Given
      Path whole = folder.resolve("whole-" + how[1]);
      Path parts = folder.resolve("parts-" + how[1]);
      run(whole, -1, flags(how));
      // When
      TrainOutcome stopped = run(parts, 3, flags(how));
      TrainOutcome again = run(parts, 7, flags(how, "resume", "auto"));
      TrainOutcome done = run(parts, -1, flags(how, "resume", "auto"));
      // Then
      assertTrue(stopped.stopped());
      assertEquals(3, stopped.state().step());
      assertEquals(7, again.state().step());
      assertEquals(12, done.state().step());
      assertArrayEquals(weights(whole), weights(parts), how[1]);
    }
  }

  private static String[] flags(String[] some, String... more) {
    String[] usual = {
      "eval-data", "held.jsonl", "eval-every", "4", "max-steps", "12", "max-seq-length", "24"
    };
    String[] all = new String[usual.length + some.length + more.length];
    System.arraycopy(usual, 0, all, 0, usual.length);
    System.arraycopy(some, 0, all, usual.length, some.length);
    System.arraycopy(more, 0, all, usual.length + some.length, more.length);
    return all;
  }

  @Test
  void resumingWithAnotherConfigurationIsRefusedNamingEveryDifference() throws IOException {
    // Given
    run(folder, 2, "lr", "0.001", "rank", "4");
    // When
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> run(folder, -1, "lr", "0.01", "warmup", "2", "resume", "auto"));
    // Then
    assertTrue(e.getMessage().contains("lr was 0.001, is 0.01"), e.getMessage());
    assertTrue(e.getMessage().contains("warmup was 0.03, is 2.0"), e.getMessage());
    assertTrue(e.getMessage().contains("--force"), e.getMessage());
  }

  @Test
  void resumingWithOtherDataIsRefused() throws IOException {
    // Given
    run(folder, 2);
    Map<Flag, List<String>> flags = TinyRun.flags(folder, "resume", "auto");
    // When
    IllegalArgumentException e;
    try (TinyRun other =
        new TinyRun(flags, TinyRun.rows(17), Optional.of(TinyRun.rows(5)), event -> {})) {
      e = assertThrows(IllegalArgumentException.class, other.trainer::run);
    }
    // Then
    assertTrue(e.getMessage().contains("training data was hash18, is hash17"), e.getMessage());
  }

  @Test
  void onlyTheLastCheckpointsAreKept() throws IOException {
    // When
    run(folder, -1, "save-every", "1", "save-limit", "2", "max-steps", "5");
    // Then
    try (var list = Files.list(folder.resolve("run/checkpoints"))) {
      assertEquals(
          List.of("step-00000004", "step-00000005"),
          list.map(p -> p.getFileName().toString()).sorted().toList());
    }
  }

  @Test
  void twoRunsCannotShareAFolder() throws IOException {
    try (TinyRun one = TinyRun.open(folder)) {
      // When
      var e = assertThrows(IOException.class, () -> TinyRun.open(folder));
      // Then
      assertTrue(e.getMessage().contains("is used by another run"), e.getMessage());
      assertEquals(6, one.trainer.totalSteps());
    }
  }
}
