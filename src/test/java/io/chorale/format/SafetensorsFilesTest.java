package io.chorale.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.quant.TensorType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Golden: models/llama, written by transformers. */
class SafetensorsFilesTest {
  @TempDir Path dir;

  private String refusal(String header, int dataBytes) throws IOException {
    Path file = SafetensorsBytes.write(dir.resolve("bad.safetensors"), header, dataBytes);
    var e = assertThrows(IOException.class, () -> SafetensorsFiles.open(file));
    assertTrue(e.getMessage().contains("bad.safetensors"), e.getMessage());
    return e.getMessage();
  }

  private static String f32(String name, int elements, int from, int to) {
    return "\"%s\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[%d,%d]}"
        .formatted(name, elements, from, to);
  }

  @Test
  void folderThatTransformersSavedIsRead() throws IOException {
    // When
    try (SafetensorsFiles files = SafetensorsFiles.open(GoldenFiles.path("models/llama"))) {
      // Then
      assertEquals(20, files.names().size());
      TensorData embedding = files.tensor("model.embed_tokens.weight");
      assertEquals(TensorType.BF16, embedding.type());
      assertArrayEquals(new long[] {264, 64}, embedding.shape());
      assertEquals(264 * 64, embedding.toFloats().length);
    }
  }

  @Test
  void shardsReadAsOneSource() throws IOException {
    // Given
    SafetensorsBytes.zeros(dir.resolve("one.safetensors"), Map.of("a", new long[] {2, 3}));
    SafetensorsBytes.zeros(dir.resolve("two.safetensors"), Map.of("b", new long[] {4}));
    Files.writeString(
        dir.resolve("model.safetensors.index.json"),
        "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    // When
    try (SafetensorsFiles files = SafetensorsFiles.open(dir)) {
      // Then
      assertEquals(Set.of("a", "b"), files.names());
      assertArrayEquals(new float[4], files.tensor("b").toFloats());
    }
  }

  @Test
  void missingShardAndTensorAreNamed() throws IOException {
    // Given
    Path index = dir.resolve("model.safetensors.index.json");
    SafetensorsBytes.zeros(dir.resolve("one.safetensors"), Map.of("a", new long[] {2}));
    Files.writeString(index, "{\"weight_map\":{\"a\":\"gone.safetensors\"}}");
    // When
    var gone = assertThrows(IOException.class, () -> SafetensorsFiles.open(dir));
    Files.writeString(index, "{\"weight_map\":{\"z\":\"one.safetensors\"}}");
    var lost = assertThrows(IOException.class, () -> SafetensorsFiles.open(dir));
    // Then
    assertTrue(gone.getMessage().contains("gone.safetensors"), gone.getMessage());
    assertTrue(lost.getMessage().contains("'z'"), lost.getMessage());
  }

  @Test
  void shardOutsideTheFolderIsRefused() throws IOException {
    // Given
    Files.writeString(
        dir.resolve("model.safetensors.index.json"),
        "{\"weight_map\":{\"a\":\"../one.safetensors\"}}");
    // When
    var e = assertThrows(IOException.class, () -> SafetensorsFiles.open(dir));
    // Then
    assertTrue(e.getMessage().contains("../one.safetensors"), e.getMessage());
  }

  @Test
  void folderWithoutWeightsIsRefusedByName() {
    // When
    var e = assertThrows(IOException.class, () -> SafetensorsFiles.open(dir));
    // Then
    assertTrue(e.getMessage().contains("model.safetensors.index.json"), e.getMessage());
  }

  @Test
  void truncatedFileIsRefusedWithTheBytesItHasAndWants() throws IOException {
    // When
    String message = refusal("{" + f32("a", 4, 0, 16) + "}", 12);
    // Then
    assertTrue(message.contains("has 75 bytes, its header wants 79"), message);
  }

  @Test
  void wrongPlacesAndSizesAreRefused() throws IOException {
    assertTrue(refusal("{" + f32("a", 4, 0, 12) + "}", 12).contains("takes 16 bytes"));
    assertTrue(
        refusal("{" + f32("a", 2, 0, 8) + "," + f32("b", 2, 4, 12) + "}", 12).contains("overlap"));
    assertTrue(
        refusal("{" + f32("a", 2, 0, 8) + "," + f32("b", 2, 16, 24) + "}", 24).contains("gap"));
    assertTrue(refusal("{" + f32("a", 2, 0, 8) + "," + f32("a", 2, 8, 16) + "}", 16).contains("a"));
    assertTrue(refusal("{" + f32("a", 2, 8, 0) + "}", 8).contains("takes 8 bytes"));
    assertTrue(refusal("{\"a\":{\"dtype\":\"F32\"}}", 0).contains("data_offsets"));
    assertTrue(refusal("{\"a\":[1,2]}", 0).contains("START_OBJECT"));
    assertTrue(refusal("{\"a\":", 0).contains("header"));
    assertTrue(
        refusal(
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,4],"
                    + "\"data_offsets\":[0,8]}}",
                8)
            .contains("overflow"));
  }

  @Test
  void headerLongerThanTheBoundOrTheFileIsRefusedBeforeItIsRead() throws IOException {
    // Given
    Path file = dir.resolve("long.safetensors");
    ByteBuffer length = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
    // When
    Files.write(file, length.putLong(0, 1L << 40).array());
    var bound = assertThrows(IOException.class, () -> SafetensorsFiles.open(file));
    Files.write(file, length.putLong(0, 1000).array());
    var end = assertThrows(IOException.class, () -> SafetensorsFiles.open(file));
    // Then
    assertTrue(bound.getMessage().contains("100000000"), bound.getMessage());
    assertTrue(end.getMessage().contains("the file has 16"), end.getMessage());
  }

  @Test
  void unreadDtypeIsRefusedWhenAskedForAndNamed() throws IOException {
    // Given
    Path file =
        SafetensorsBytes.write(
            dir.resolve("f8.safetensors"),
            "{\"__metadata__\":{\"format\":\"pt\"},"
                + "\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]}}",
            4);
    try (SafetensorsFiles files = SafetensorsFiles.open(file)) {
      // When
      var e = assertThrows(IllegalArgumentException.class, () -> files.tensor("a"));
      // Then
      assertTrue(e.getMessage().contains("F8_E4M3"), e.getMessage());
    }
  }

  @Test
  void fileThatShrankAfterOpeningIsRefusedInsteadOfMapped() throws IOException {
    // Given
    Path file =
        SafetensorsBytes.zeros(dir.resolve("s.safetensors"), Map.of("a", new long[] {8192}));
    try (SafetensorsFiles files = SafetensorsFiles.open(file)) {
      Files.write(file, new byte[100]);
      // When
      var e = assertThrows(UncheckedIOException.class, () -> files.tensor("a"));
      // Then
      assertTrue(e.getMessage().contains("shrank to 100 bytes"), e.getMessage());
    }
  }
}
