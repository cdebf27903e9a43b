package io.chorale.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlanCommandTest {
  private static final String TINY = "src/test/resources/golden/models/llama";

  @TempDir Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int plan(String... args) {
    String[] all = new String[args.length + 1];
    all[0] = "plan";
    System.arraycopy(args, 0, all, 1, args.length);
    return Main.execute(new PrintWriter(out, true), new PrintWriter(err, true), all);
  }

  @Test
  void sizeAloneNeedsNoModelAndNoData() {
    // When
    int code = plan("--params", "7B");
    // Then
    assertEquals(0, code, err.toString());
    assertTrue(out.toString().contains("FP32"), out.toString());
    assertTrue(out.toString().contains("4-bit (NF4"), out.toString());
  }

  @Test
  void planCountsTheRowsOfTheData() throws IOException {
    // Given
    Path data =
        Files.writeString(
            folder.resolve("my.jsonl"), "{\"text\":\"some words to train on\"}\n".repeat(40));
    // When
    int code =
        plan(
            "--model",
            TINY,
            "--data",
            data.toString(),
            "--no-measure",
            "--batch-size",
            "4",
            "--grad-accum",
            "2",
            "--epochs",
            "2");
    // Then
    assertEquals(0, code, err.toString());
    assertTrue(out.toString().contains("\n10 steps, "), out.toString());
    assertTrue(out.toString().contains("peak"), out.toString());
  }

  @Test
  void planOverTheLimitIsRefusedWithTheChangesThatHelp() {
    // When
    int code = plan("--model", TINY, "--no-measure", "--max-memory", "1MiB");
    // Then
    assertEquals(2, code);
    assertTrue(err.toString().contains("over the limit of 1 MiB by"), err.toString());
    assertTrue(err.toString().contains("--checkpointing"), err.toString());
  }

  @Test
  void fitChangesFlagsUntilThePlanFits() {
    // Given
    plan("--model", TINY, "--no-measure", "--batch-size", "16", "--max-memory", "1MiB");
    String peak = err.toString().replaceAll("(?s).*\\n  peak +([0-9]+) MiB.*", "$1");
    long limit = Long.parseLong(peak) - 1;
    // When
    int code =
        plan(
            "--model",
            TINY,
            "--no-measure",
            "--batch-size",
            "16",
            "--fit",
            "--max-memory",
            limit + "MiB");
    // Then
    assertEquals(0, code, err.toString());
    assertTrue(out.toString().contains("fits in " + limit + " MiB"), out.toString());
    assertTrue(out.toString().contains("adapted: --"), out.toString());
  }

  @Test
  void fitWithoutALimitIsWrongUsage() {
    assertEquals(2, plan("--model", TINY, "--fit"));
    assertTrue(err.toString().contains("--max-memory"), err.toString());
  }

  @Test
  void unknownSizeIsWrongUsage() {
    assertEquals(2, plan("--params", "big"));
    assertTrue(err.toString().contains("--params"), err.toString());
  }
}
