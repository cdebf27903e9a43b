package io.chorale.train.merge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.format.AtomicOutput;
import io.chorale.lora.LoraWeights;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class AtomicOutputTest {
  private static final Path BASE = Merging.MODELS.resolve("llama");
  private static final Path ADAPTER = Merging.ADAPTERS.resolve("rslora");

  @TempDir Path folder;

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(f -> f.getFileName().toString()).sorted().toList();
    }
  }

  private void mergeAndDieHalfway(Merge.Options options) throws IOException {
    try (BaseModelFiles files = BaseModelFiles.open(BASE, Quantization.NONE)) {
      Merge.run(
          files,
          BASE,
          new LoraWeights("nothing", Map.of(), 0),
          options,
          (done, total) -> {
            if (done > total / 2) {
              throw new IllegalStateException("halfway");
            }
          });
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"HF_F32", "GGUF_F16"})
  void failureHalfwayLeavesTheOldModelAndNothingElse(MergeFormat format) throws IOException {
    // Given
    Path out = folder.resolve(format.gguf() ? "m.gguf" : "m");
    Merging.merge(BASE, ADAPTER, out, format);
    Path weights = format.gguf() ? out : out.resolve("model.safetensors");
    byte[] before = Files.readAllBytes(weights);
    // When
    assertThrows(
        IllegalStateException.class,
        () -> mergeAndDieHalfway(new Merge.Options(out, format, Merging.SHARD, true)));
    // Then
    assertEquals(List.of(out.getFileName().toString()), names());
    assertEquals(-1, java.util.Arrays.mismatch(before, Files.readAllBytes(weights)));
  }

  @Test
  void whatIsThereIsReplacedOnlyByForce() throws IOException {
    // Given
    Path out = folder.resolve("m");
    Merging.merge(BASE, ADAPTER, out, MergeFormat.HF_F32);
    // When
    FileAlreadyExistsException refused =
        assertThrows(
            FileAlreadyExistsException.class,
            () -> Merging.merge(BASE, ADAPTER, out, MergeFormat.HF_F16));
    Merging.merge(BASE, ADAPTER, new Merge.Options(out, MergeFormat.HF_F16, Merging.SHARD, true));
    // Then
    assertTrue(refused.getMessage().contains("--force"), refused.getMessage());
    assertTrue(Files.readString(out.resolve("config.json")).contains("\"float16\""));
    assertEquals(List.of("m"), names());
  }

  @Test
  void forceNeverRemovesAFolderThatIsNoModel() throws IOException {
    // Given
    Path out = Files.createDirectory(folder.resolve("home"));
    Files.writeString(out.resolve("letter.txt"), "dear");
    // When
    assertThrows(
        IOException.class,
        () ->
            Merging.merge(
                BASE, ADAPTER, new Merge.Options(out, MergeFormat.HF_F32, Merging.SHARD, true)));
    // Then
    assertEquals("dear", Files.readString(out.resolve("letter.txt")));
  }

  @Test
  void outputLargerThanTheDiskIsRefusedBeforeAnythingIsWritten() throws IOException {
    // When
    IOException refused =
        assertThrows(
            IOException.class,
            () -> new AtomicOutput(folder.resolve("m"), true, false, Long.MAX_VALUE).close());
    // Then
    assertTrue(refused.getMessage().contains("free"), refused.getMessage());
    assertEquals(List.of(), names());
  }
}
