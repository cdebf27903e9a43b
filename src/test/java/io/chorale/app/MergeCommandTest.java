package io.chorale.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MergeCommandTest {
  private static final String GOLDEN = "src/test/resources/golden/";
  private static final String BASE = GOLDEN + "models/gguf/llama-q4_1.gguf";
  private static final String ADAPTER = GOLDEN + "adapters/dora";

  @TempDir Path folder;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... args) {
    return Main.execute(new PrintWriter(out, true), new PrintWriter(err, true), args);
  }

  @Test
  void mergeIntoFourBitsReportsWhatSurvivesInEveryLayer() {
    // Given
    Path file = folder.resolve("m.gguf");
    // When
    int code =
        run("merge", ADAPTER, "--model", BASE, "--out", file.toString(), "--to", "gguf-q4_1");
    // Then
    assertEquals(0, code, err.toString());
    assertTrue(Files.exists(file));
    assertTrue(out.toString().contains("14 modules, gguf-q4_1"), out.toString());
    assertTrue(out.toString().contains("survival      noise"), out.toString());
  }

  @Test
  void folderOfAQuantizedBaseIsHalfPrecisionUnlessSaidOtherwise() {
    // When
    int code = run("merge", ADAPTER, "--model", BASE, "--out", folder.resolve("m").toString());
    // Then
    assertEquals(0, code, err.toString());
    assertTrue(out.toString().contains("hf-f16"), out.toString());
  }

  @Test
  void unknownFormatIsWrongUsageWithTheChoices() {
    // When
    int code = run("merge", ADAPTER, "--out", "m", "--to", "gguf-q5");
    // Then
    assertEquals(2, code);
    assertTrue(err.toString().contains("hf-f32, hf-bf16"), err.toString());
  }

  @Test
  void fileFormatIntoAFolderNameIsRefused() {
    // When
    int code =
        run(
            "merge",
            ADAPTER,
            "--model",
            BASE,
            "--out",
            folder.resolve("m").toString(),
            "--to",
            "gguf-f16");
    // Then
    assertEquals(1, code);
    assertTrue(err.toString().contains("gguf-f16 is written as a file NAME.gguf"), err.toString());
  }

  @Test
  void outputThatHoldsTheAdapterIsWrongUsage() {
    // When
    int code = run("merge", ADAPTER, "--model", BASE, "--force", "--out", GOLDEN + "adapters");
    // Then
    assertEquals(2, code);
    assertTrue(err.toString().contains("which is read"), err.toString());
  }
}
