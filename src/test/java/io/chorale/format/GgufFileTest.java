package io.chorale.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Golden: models/gguf, written by gguf-py. */
class GgufFileTest {
  @TempDir Path dir;

  private String refusal(GgufBytes bytes) throws IOException {
    Path file = bytes.write(dir.resolve("bad.gguf"));
    var e = assertThrows(IOException.class, () -> GgufFile.open(file));
    assertTrue(e.getMessage().contains("bad.gguf"), e.getMessage());
    return e.getMessage();
  }

  @Test
  void metadataAndTensorsOfAGgufPyFileAreRead() throws IOException {
    // When
    try (GgufFile file = GgufFile.open(GoldenFiles.path("models/gguf/llama-q4_1.gguf"))) {
      // Then
      assertEquals("llama", file.metadata().get("general.architecture"));
      assertEquals(2, file.metadata().get("llama.block_count"));
      assertEquals(false, file.metadata().get("tokenizer.ggml.add_bos_token"));
      assertEquals(1e-5f, file.metadata().get("llama.attention.layer_norm_rms_epsilon"));
      assertTrue(
          file.metadata().get("tokenizer.ggml.tokens") instanceof List<?> tokens
              && tokens.size() == 264
              && tokens.get(257).equals("<|im_start|>"));
      TensorData down = file.tensor("blk.1.ffn_down.weight");
      assertEquals(TensorType.Q4_1, down.type());
      assertArrayEquals(new long[] {64, 96}, down.shape());
      assertEquals(64 * 96 / 32 * 20, down.bytes().remaining());
      assertEquals(TensorType.F32, file.tensor("output_norm.weight").type());
    }
  }

  @Test
  void everyMetadataTypeIsReadWithItsSign() throws IOException {
    // Given
    GgufBytes bytes = GgufBytes.start(2, 0, 13);
    bytes.key("u8", 0).i8(200).key("i8", 1).i8(200);
    bytes.key("u16", 2).i16(60000).key("i16", 3).i16(60000);
    bytes.key("u32", 4).i32(-2).key("i32", 5).i32(-2);
    bytes.key("f32", 6).i32(Float.floatToIntBits(1.5f)).key("bool", 7).i8(1);
    bytes.key("string", 8).string("\u00e9\u4e2d");
    bytes.key("u64", 10).i64(5).key("i64", 11).i64(-5).key("f64", 12).f64(0.1);
    bytes.key("nested", 9).i32(9).i64(2).i32(5).i64(2).i32(1).i32(2).i32(8).i64(1).string("a");
    // When
    try (GgufFile file = GgufFile.open(bytes.write(dir.resolve("all.gguf")))) {
      // Then
      assertEquals(
          List.of(
              200, -56, 60000, -5536, 4294967294L, -2, 1.5f, true, "\u00e9\u4e2d", 5L, -5L, 0.1),
          List.copyOf(file.metadata().values()).subList(0, 12));
      assertEquals(List.of(List.of(1, 2), List.of("a")), file.metadata().get("nested"));
    }
  }

  @Test
  void tensorsOutliveTheClosedFile() throws IOException {
    // Given
    Path path =
        GgufBytes.start(3, 1, 0).tensor("x", 0, 0, 2).data(1, 2).write(dir.resolve("x.gguf"));
    GgufFile file = GgufFile.open(path);
    TensorData x = file.tensor("x");
    // When
    file.close();
    // Then
    assertArrayEquals(new float[] {1, 2}, x.toFloats());
    assertArrayEquals(new float[] {1, 2}, x.copyToHeap().toFloats());
  }

  @Test
  void tensorBeyondTwoGibibytesIsRead() throws IOException {
    // Given: a sparse file, its first tensor 3 GiB of zeros
    long big = 3L << 30;
    Path path =
        GgufBytes.start(3, 2, 0)
            .tensor("big", 0, 0, 1 << 14, big >> 16)
            .tensor("x", 0, big, 2)
            .data()
            .write(dir.resolve("big.gguf"));
    long dataStart = Files.size(path);
    try (FileChannel out = FileChannel.open(path, StandardOpenOption.WRITE)) {
      ByteBuffer values = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
      values.putFloat(3).putFloat(4).flip();
      out.write(values, dataStart + big);
    }
    try (GgufFile file = GgufFile.open(path)) {
      // When
      float[] had = file.tensor("x").toFloats();
      // Then
      assertArrayEquals(new float[] {3, 4}, had);
      var e = assertThrows(IllegalArgumentException.class, () -> file.tensor("big"));
      assertTrue(e.getMessage().contains("big takes 3221225472 bytes"), e.getMessage());
    }
  }

  @Test
  void unreadTensorTypeIsRefusedWhenAskedForAndNamed() throws IOException {
    // Given
    Path path =
        GgufBytes.start(3, 2, 0)
            .tensor("x", 0, 0, 2)
            .tensor("odd", 23, 32, 256)
            .data(1, 2)
            .data(new float[34])
            .write(dir.resolve("odd.gguf"));
    try (GgufFile file = GgufFile.open(path)) {
      // When
      var e = assertThrows(IllegalArgumentException.class, () -> file.tensor("odd"));
      // Then
      assertTrue(e.getMessage().contains("type id 23 (IQ4_XS)"), e.getMessage());
      assertArrayEquals(new float[] {1, 2}, file.tensor("x").toFloats());
    }
  }

  @Test
  void wrongKindsOfFileAreRefusedByName() throws IOException {
    assertTrue(refusal(GgufBytes.start(1, 0, 0)).contains("version 1"));
    assertTrue(refusal(GgufBytes.start(3 << 24, 0, 0)).contains("big-endian"));
    assertTrue(refusal(new GgufBytes().i64(7)).contains("wanted the letters GGUF"));
    GgufBytes part = GgufBytes.start(3, 0, 1).key("split.count", 2).i16(4);
    assertTrue(refusal(part).contains("one of 4 parts"));
  }

  @Test
  void impossibleHeadersAreRefusedByWhatIsWrong() throws IOException {
    assertTrue(refusal(GgufBytes.start(3, 1L << 60, 0)).contains("tensor list"));
    assertTrue(refusal(GgufBytes.start(3, 0, -1)).contains("metadata"));
    GgufBytes endless = GgufBytes.start(3, 0, 1).key("k", 8).i64(1L << 40);
    assertTrue(refusal(endless).contains("k has a count of 1099511627776"));
    assertTrue(refusal(GgufBytes.start(3, 0, 1).key("k", 77).i64(0).i64(0)).contains("type 77"));
    GgufBytes twice = GgufBytes.start(3, 0, 2).key("k", 7).i8(1).key("k", 7).i8(1).i64(0);
    assertTrue(refusal(twice).contains("twice"));
    GgufBytes alignment = GgufBytes.start(3, 0, 1).key("general.alignment", 4).i32(24);
    assertTrue(refusal(alignment).contains("power of two"));
    GgufBytes overlap =
        GgufBytes.start(3, 2, 0).tensor("a", 0, 0, 16).tensor("b", 0, 32, 16).data(new float[24]);
    assertTrue(refusal(overlap).contains("inside another"));
    GgufBytes crooked = GgufBytes.start(3, 1, 0).tensor("a", 0, 4, 2).data(new float[3]);
    assertTrue(refusal(crooked).contains("multiple of 32"));
    GgufBytes huge =
        GgufBytes.start(3, 1, 0).tensor("a", 0, 0, 1L << 40, 1L << 40).data(new float[3]);
    assertTrue(refusal(huge).contains("impossible shape"));
    GgufBytes ragged = GgufBytes.start(3, 1, 0).tensor("a", 3, 0, 33).data(new float[40]);
    assertTrue(refusal(ragged).contains("33 elements"));
  }

  @Test
  void truncatedFileIsRefusedWithTheBytesItHasAndWants() throws IOException {
    // When
    String message = refusal(GgufBytes.start(3, 1, 0).tensor("a", 0, 0, 64).data(new float[63]));
    // Then
    assertTrue(message.contains("'a' takes bytes 64 to 320, the file has 316"), message);
  }

  @Test
  void arraysNestedWithoutEndAreRefused() throws IOException {
    // Given
    GgufBytes bytes = GgufBytes.start(3, 0, 1).key("k", 9);
    for (int i = 0; i < 100; i++) {
      bytes.i32(9).i64(1);
    }
    // When, then
    assertTrue(refusal(bytes).contains("nests arrays"));
  }
}
