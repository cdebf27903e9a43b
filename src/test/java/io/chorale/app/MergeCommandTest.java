package io.chorale.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MergeCommandTest {
  private static final String GOLDEN = "src/test/resources/golden/";
  private static final String BASE = GOLDEN + "models/gguf/llama-q4_1.gguf";
  private static final String FLOATS = GOLDEN + "models/llama";
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

  /** A golden adapter whose update is far below a step between two 4-bit values. */
  private String faint() throws IOException {
    Path from = Path.of(GOLDEN + "adapters/lora-all-linear");
    Path to = Files.createDirectories(folder.resolve("faint"));
    Files.copy(from.resolve("adapter_model.safetensors"), to.resolve("adapter_model.safetensors"));
    String config = Files.readString(from.resolve("adapter_config.json"));
    Files.writeString(
        to.resolve("adapter_config.json"),
        config.replace("\"lora_alpha\": 8", "\"lora_alpha\": 0.02"));
    return to.toString();
  }

  private int mergeIntoItsOwnFormat(String adapter, String... more) {
    List<String> args = new ArrayList<>(List.of("merge", adapter, "--model", BASE));
    args.addAll(List.of("--force", "--out", folder.resolve("m.gguf").toString()));
    args.addAll(List.of("--to", "gguf-q4_1"));
    args.addAll(List.of(more));
    return run(args.toArray(String[]::new));
  }

  @ParameterizedTest
  @ValueSource(strings = {"refit", "keep"})
  void updateThatTheNearestValuesLoseIsWarnedOfWithBothRemedies(String rounding)
      throws IOException {
    // When
    int code = mergeIntoItsOwnFormat(faint(), "--rounding", rounding);
    // Then
    assertEquals(0, code, err.toString());
    String said = out.toString();
    assertTrue(said.contains("WARNING: "), said);
    assertTrue(said.contains("of the update survives"), said);
    assertTrue(said.contains("--rounding dither"), said);
    assertTrue(said.contains("--merge-aware"), said);
  }

  @Test
  void sameUpdateSurvivesIfNothingIsSaid() throws IOException {
    // When
    int code = mergeIntoItsOwnFormat(faint());
    // Then
    assertEquals(0, code, err.toString());
    assertFalse(out.toString().contains("WARNING"), out.toString());
  }

  @Test
  void adapterTrainedForTheMergeIsMergedSoAndNothingElseIsAdvised() throws IOException {
    // Given
    Path data =
        Files.writeString(
            folder.resolve("my.jsonl"),
            "{\"instruction\": \"Say 7\", \"output\": \"It is 49.\"}\n"
                + "{\"instruction\": \"Say 8\", \"output\": \"It is 64.\"}\n");
    Path adapter = folder.resolve("aware");
    List<String> args = new ArrayList<>(List.of("train", "--data", data.toString()));
    args.addAll(List.of("--name", "aware", "--model", FLOATS, "--out", adapter.toString()));
    args.addAll(List.of("--run-dir", folder.resolve("run").toString(), "--max-steps", "2"));
    args.addAll(List.of("--dropout", "0", "--merge-aware", "nf4", "--threads", "1"));
    assertEquals(0, run(args.toArray(String[]::new)), err.toString());
    String into = folder.resolve("m").toString();
    String[] merge = {
      "merge", adapter.toString(), "--model", FLOATS, "--to", "nf4", "--out", into, "--force"
    };
    // When
    int asTrained = run(merge);
    String said = out.toString();
    int otherwise = run(append(merge, "--rounding", "refit"));
    // Then
    assertEquals(0, asTrained + otherwise, err.toString());
    assertTrue(said.contains("was trained through this rounding (--merge-aware nf4)"), said);
    assertFalse(said.contains("WARNING"), said);
    String warned = out.toString().substring(said.length());
    assertTrue(warned.contains("warning: aware was trained for a merge into nf4 with"), warned);
  }

  private static String[] append(String[] args, String... more) {
    return Stream.concat(Stream.of(args), Stream.of(more)).toArray(String[]::new);
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
