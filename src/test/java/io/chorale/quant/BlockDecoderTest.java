package io.chorale.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.format.GoldenFiles;
import io.chorale.format.SafetensorsFiles;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Golden: quant/gguf.safetensors, gguf-py's dequantize. */
class BlockDecoderTest {
  private static final SafetensorsFiles GOLDEN = GoldenFiles.tensors("quant/gguf.safetensors");

  @ParameterizedTest
  @EnumSource(names = {"BF16", "Q4_0", "Q4_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"})
  void blocksUnpackToTheSameBitsAsGgufPy(TensorType type) {
    // Given
    byte[] blocks = GoldenFiles.bytes(GOLDEN, type + ".bytes");
    float[] wanted = GOLDEN.tensor(type + ".floats").toFloats();
    float[] had = new float[wanted.length];
    // When
    BlockDecoder.decode(type, ByteBuffer.wrap(blocks), 0, had.length, had, 0);
    // Then
    assertArrayEquals(wanted, had, 0f);
  }

  @ParameterizedTest
  @EnumSource(names = {"Q4_1", "Q8_0", "Q6_K"})
  void rowsInTheMiddleUnpackAsTheyDoInTheWhole(TensorType type) {
    // Given
    byte[] blocks = GoldenFiles.bytes(GOLDEN, type + ".bytes");
    float[] all = GOLDEN.tensor(type + ".floats").toFloats();
    int cols = all.length / 3;
    var matrix = new GgmlMatrix(type, 3, cols, ByteBuffer.wrap(blocks));
    float[] had = new float[2 * cols];
    // When
    matrix.dequantizeRows(1, 3, had);
    // Then
    assertArrayEquals(Arrays.copyOfRange(all, cols, 3 * cols), had, 0f);
  }

  @Test
  void moreBlocksThanTheScratchHoldsUnpackInOrder() {
    // Given
    byte[] blocks = new byte[5000 * 34];
    for (int b = 0; b < 5000; b++) {
      short one = HalfFloats.floatToHalf(b);
      blocks[b * 34] = (byte) one;
      blocks[b * 34 + 1] = (byte) (one >> 8);
      blocks[b * 34 + 2] = 1;
    }
    float[] had = new float[5000 * 32];
    // When
    BlockDecoder.decode(TensorType.Q8_0, ByteBuffer.wrap(blocks), 0, had.length, had, 0);
    // Then
    for (int b = 0; b < 2048; b++) {
      assertEquals(b, had[b * 32]);
    }
    assertTrue(had[4999 * 32] >= 4996 && had[4999 * 32] <= 5000);
  }

  @Test
  void integersAreRefusedByName() {
    // When
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> new GgmlMatrix(TensorType.I64, 1, 1, ByteBuffer.allocate(8)));
    // Then
    assertTrue(e.getMessage().contains("I64"), e.getMessage());
  }

  @Test
  void bytesThatDoNotFillTheShapeAreRefusedWithBothNumbers() {
    // When
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> new GgmlMatrix(TensorType.Q4_1, 2, 64, ByteBuffer.allocate(79)));
    // Then
    assertTrue(e.getMessage().contains("80") && e.getMessage().contains("79"), e.getMessage());
  }
}
