package io.chorale.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRef;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command from its flags to the adapter, on the tiny model. */
class TrainCommandTest {
  private static final Path MODEL = Path.of("src/test/resources/golden/models/llama");

  @TempDir Path folder;
  private Path data;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @BeforeEach
  void writeData() throws IOException {
    StringBuilder rows = new StringBuilder();
    for (int i = 0; i < 12; i++) {
      rows.append("{\"instruction\": \"Say %d\", \"output\": \"It is %d.\"}%n".formatted(i, i * i));
    }
    rows.append("{\"instruction\": \"Say nothing\", \"output\": \"\"}\n");
    data = Files.writeString(folder.resolve("my.jsonl"), rows.toString());
  }

  private int train(String... more) {
    return trainOver(MODEL, more);
  }

  private int trainOver(Path model, String... more) {
    List<String> args =
        new ArrayList<>(
            List.of(
                "train",
                "--data",
                data.toString(),
                "--name",
                "tiny",
                "--model",
                model.toString(),
                "--out",
                folder.resolve("adapters/tiny").toString(),
                "--run-dir",
                folder.resolve("runs/tiny").toString(),
                "--compute",
                "f32",
                "--threads",
                "1",
                "--max-steps",
                "3",
                "--batch-size",
                "2",
                "--grad-accum",
                "1"));
    args.addAll(List.of(more));
    return Main.execute(
        new PrintWriter(out, true), new PrintWriter(err, true), args.toArray(String[]::new));
  }

  @Test
  void dataBecomesAnAdapterThatTheServerLoads() throws IOException {
    // When
    int code = train("--eval-split", "0.2", "--rank", "4");
    // Then
    assertEquals(0, code, err.toString());
    String said = out.toString();
    assertTrue(said.contains("my.jsonl:13: error empty"), said);
    assertTrue(said.contains("rows 13, kept 12, dropped 1"), said);
    assertTrue(said.contains("trainable params: "), said);
    assertTrue(said.contains("|| trainable%: "), said);
    assertTrue(said.contains("next: ./chorale serve --adapter-root "), said);
    assertTrue(said.contains("./chorale push --server"), said);
    try (BaseModelFiles base = BaseModelFiles.open(MODEL, Quantization.NONE)) {
      assertEquals(
          14,
          new AdapterLoader(base.spec(), base.fingerprint(), AdapterLoader.DEFAULT_MAX_BYTES)
              .load(new AdapterRef("tiny", 1), folder.resolve("adapters/tiny"))
              .weights()
              .modules()
              .size());
    }
    assertTrue(Files.exists(folder.resolve("runs/tiny/metrics.jsonl")));
    assertTrue(Files.exists(folder.resolve("runs/tiny/report.html")));
  }

  @Test
  void storedConfigurationGivesTheSameBitsAgain() throws IOException {
    // Given
    train("--lr", "1e-3", "--seed", "5", "--method", "dora");
    Path config = folder.resolve("adapters/tiny/chorale-config.yaml");
    // When
    int code =
        Main.execute(
            new PrintWriter(out, true),
            new PrintWriter(err, true),
            "train",
            "--config",
            config.toString(),
            "--out",
            folder.resolve("again").toString(),
            "--run-dir",
            folder.resolve("runs/again").toString());
    // Then
    assertEquals(0, code, err.toString());
    assertArrayEquals(
        Files.readAllBytes(folder.resolve("adapters/tiny/adapter_model.safetensors")),
        Files.readAllBytes(folder.resolve("again/adapter_model.safetensors")));
  }

  @Test
  void theConfigNamesTheBaseAsAsked() throws IOException {
    // When
    int code = train("--base-name", "org/base", "--rank", "4");
    // Then
    assertEquals(0, code, err.toString());
    String config = Files.readString(folder.resolve("adapters/tiny/adapter_config.json"));
    assertTrue(config.contains("\"base_model_name_or_path\" : \"org/base\""), config);
  }

  @Test
  void nothingIsOverwrittenWithoutForce() throws IOException {
    // Given
    train();
    byte[] first = Files.readAllBytes(folder.resolve("adapters/tiny/adapter_model.safetensors"));
    // When
    int refused = train("--seed", "9");
    byte[] kept = Files.readAllBytes(folder.resolve("adapters/tiny/adapter_model.safetensors"));
    int forced = train("--seed", "9", "--force");
    // Then
    assertEquals(2, refused);
    assertTrue(err.toString().contains("tiny is there already"), err.toString());
    assertArrayEquals(first, kept);
    assertEquals(0, forced, err.toString());
    assertFalse(
        java.util.Arrays.equals(
            first, Files.readAllBytes(folder.resolve("adapters/tiny/adapter_model.safetensors"))));
  }

  @Test
  void dryRunChecksAndPlansAndWritesNothing() {
    // When
    int code = train("--dry-run");
    // Then
    assertEquals(0, code, err.toString());
    assertTrue(out.toString().contains("plan for"), out.toString());
    assertFalse(Files.exists(folder.resolve("adapters")));
    assertFalse(Files.exists(folder.resolve("runs")));
  }

  @Test
  void adapterIsTrainedOnUnderItsOwnShapeWhichFlagsMustNotContradict() {
    // Given
    String golden = "src/test/resources/golden/adapters/rank-pattern";
    // When
    int contradicted = train("--init-adapter", golden, "--rank", "4");
    int trained = train("--init-adapter", golden);
    // Then
    assertEquals(2, contradicted);
    assertTrue(err.toString().contains("--rank is given beside --init-adapter"), err.toString());
    assertEquals(0, trained, err.toString());
  }

  @Test
  void baseThatIsFourBitAlreadyIsNotQuantizedInSilence() {
    // When
    Path gguf = Path.of("src/test/resources/golden/models/gguf/llama-q4_1.gguf");
    int nf4 = trainOver(gguf, "--base-quantization", "nf4");
    int none = trainOver(gguf, "--base-quantization", "none");
    int full = trainOver(gguf, "--method", "full");
    // Then
    assertEquals(List.of(2, 2, 2), List.of(nf4, none, full));
    String said = err.toString();
    assertTrue(said.contains("--base-quantization is nf4, and "), said);
    assertTrue(said.contains("--base-quantization is none, and "), said);
    assertTrue(said.contains("wanted a Hugging Face folder"), said);
  }

  @Test
  void fileWithoutAUsableRowIsRefusedBeforeTheRun() throws IOException {
    // Given
    Files.writeString(data, "{\"instruction\": \"\", \"output\": \"\"}\n");
    // When
    int code = train();
    // Then
    assertEquals(2, code);
    assertTrue(err.toString().contains("no row is left that could be used"), err.toString());
  }
}
