package io.chorale.format;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Damages the headers of whole files: they open, or are refused by name, and nothing else. */
class DamagedHeaderTest {
  @TempDir Path dir;

  /** Returns whether the file was refused; fails on any other exception or an unnamed file. */
  private boolean refused(Path file) {
    try (TensorSource source =
        file.toString().endsWith(".gguf") ? GgufFile.open(file) : SafetensorsFiles.open(file)) {
      for (String name : source.names()) {
        try {
          source.tensor(name);
        } catch (IllegalArgumentException e) {
          assertTrue(e.getMessage().contains(name), e.getMessage());
        }
      }
      return false;
    } catch (IOException | UncheckedIOException e) {
      assertTrue(e.getMessage().contains(file.getFileName().toString()), e.getMessage());
      return true;
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gguf/llama-q4_1.gguf", "llama-nf4-dq/model.safetensors"})
  void everyTruncationIsRefused(String name) throws IOException {
    // Given
    byte[] whole = Files.readAllBytes(GoldenFiles.path("models/" + name));
    Path file = dir.resolve("short" + name.substring(name.lastIndexOf('.')));
    for (int length = 0; length < whole.length; length += length < 2000 ? 61 : 1999) {
      Files.write(file, Arrays.copyOf(whole, length));
      // When, then
      if (!refused(file)) {
        fail("opened with " + length + " of " + whole.length + " bytes");
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gguf/llama-q4_1.gguf", "llama-nf4-dq/model.safetensors"})
  void flippedBytesAreReadOrRefusedByName(String name) throws IOException {
    // Given
    byte[] whole = Files.readAllBytes(GoldenFiles.path("models/" + name));
    Path file = dir.resolve("flipped" + name.substring(name.lastIndexOf('.')));
    Random random = new Random(11);
    int header = Math.min(whole.length, 9000);
    int refusals = 0;
    for (int round = 0; round < 500; round++) {
      byte[] damaged = whole.clone();
      for (int flips = 1 + random.nextInt(3); flips > 0; flips--) {
        damaged[random.nextInt(round % 2 == 0 ? 64 : header)] = (byte) random.nextInt(256);
      }
      Files.write(file, damaged);
      // When
      refusals += refused(file) ? 1 : 0;
    }
    // Then
    assertTrue(refusals > 100, "only " + refusals + " of 500 were refused");
  }

  @Test
  void lengthsThatLieAreRefusedWithoutTakingTheMemory() throws IOException {
    // Given: every 8-byte field of a header replaced by a huge count, one at a time
    byte[] whole = Files.readAllBytes(GoldenFiles.path("models/gguf/llama-q4_1.gguf"));
    Path file = dir.resolve("lies.gguf");
    for (int at = 8; at < 1200; at += 7) {
      byte[] damaged = whole.clone();
      Arrays.fill(damaged, at, at + 7, (byte) 0xff);
      damaged[at + 7] = 0x7f;
      Files.write(file, damaged);
      // When, then
      refused(file);
    }
  }
}
