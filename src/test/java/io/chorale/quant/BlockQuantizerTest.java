package io.chorale.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.format.GoldenFiles;
import io.chorale.format.SafetensorsFiles;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;

/** Golden: quant/gguf.safetensors, gguf-py's quantize. */
class BlockQuantizerTest {
  private static final SafetensorsFiles GOLDEN = GoldenFiles.tensors("quant/gguf.safetensors");
  private static final GgmlMatrix INPUT =
      new GgmlMatrix(TensorType.F32, 7, 96, GOLDEN.tensor("quantize.input").bytes());

  private static byte[] blocks(GgmlMatrix matrix) {
    byte[] bytes = new byte[(int) matrix.bytes()];
    matrix.blocks().get(bytes);
    return bytes;
  }

  private static float[] floats(PackedMatrix matrix) {
    float[] values = new float[matrix.rows() * matrix.cols()];
    matrix.dequantizeRows(0, matrix.rows(), values);
    return values;
  }

  private static GgmlMatrix matrix(int cols, float... values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return new GgmlMatrix(TensorType.F32, values.length / cols, cols, bytes);
  }

  @Test
  void q8HasTheSameBytesAsGgufPy() {
    // When
    GgmlMatrix had = BlockQuantizer.q8(INPUT);
    // Then
    assertArrayEquals(GoldenFiles.bytes(GOLDEN, "quantize.Q8_0"), blocks(had));
  }

  @Test
  void plainQ4FormsHaveTheSameBytesAsGgufPy() {
    // When
    GgmlMatrix affine = BlockQuantizer.q4x1(INPUT);
    GgmlMatrix symmetric = BlockQuantizer.q4x0(INPUT);
    // Then
    assertArrayEquals(GoldenFiles.bytes(GOLDEN, "quantize.Q4_1"), blocks(affine));
    assertArrayEquals(GoldenFiles.bytes(GOLDEN, "quantize.Q4_0"), blocks(symmetric));
  }

  @Test
  void q4ErrsNoMoreThanEitherPlainFormInAnyBlock() {
    // Given
    float[] x = floats(INPUT);
    float[] affine = floats(BlockQuantizer.q4x1(INPUT));
    float[] symmetric = floats(BlockQuantizer.q4x0(INPUT));
    // When
    GgmlMatrix better = BlockQuantizer.q4(INPUT);
    // Then
    float[] had = floats(better);
    assertEquals(TensorType.Q4_1, better.type());
    int symmetricWins = 0;
    for (int block = 0; block < x.length; block += 32) {
      double best = Math.min(error(x, affine, block), error(x, symmetric, block));
      assertEquals(best, error(x, had, block), 1e-12 * (1 + best), "block " + block / 32);
      symmetricWins += error(x, symmetric, block) < error(x, affine, block) ? 1 : 0;
    }
    assertTrue(symmetricWins > 0, "the golden rows let both forms win");
  }

  private static double error(float[] wanted, float[] had, int block) {
    double sum = 0;
    for (int i = block; i < block + 32; i++) {
      sum += ((double) wanted[i] - had[i]) * ((double) wanted[i] - had[i]);
    }
    return sum;
  }

  @Test
  void infiniteWeightIsRefusedWithItsPlace() {
    // Given
    float[] values = new float[64];
    values[33] = Float.POSITIVE_INFINITY;
    // When
    var e =
        assertThrows(IllegalArgumentException.class, () -> BlockQuantizer.q4(matrix(32, values)));
    // Then
    assertTrue(e.getMessage().contains("row 1 column 1"), e.getMessage());
  }

  @Test
  void columnsThatDoNotFillBlocksAreRefused() {
    // When
    var e =
        assertThrows(
            IllegalArgumentException.class, () -> BlockQuantizer.q8(matrix(16, new float[16])));
    // Then
    assertTrue(e.getMessage().contains("16"), e.getMessage());
  }

  @Test
  void affineRowsComputeTheSameValuesAsUnpacking() {
    // Given
    GgmlMatrix affine = BlockQuantizer.q4x1(INPUT);
    GgmlMatrix symmetric = BlockQuantizer.q4x0(INPUT);
    for (GgmlMatrix matrix : new GgmlMatrix[] {affine, symmetric}) {
      float[] wanted = new float[5 * 96];
      matrix.dequantizeRows(1, 6, wanted);
      // When
      AffineBlocks parts = matrix.affineRows(1, 6);
      // Then
      float[] had = new float[wanted.length];
      for (int i = 0; i < had.length; i++) {
        int block = i / AffineBlocks.BLOCK;
        had[i] = parts.nibbles()[i] * parts.scales()[block] + parts.mins()[block];
      }
      assertArrayEquals(wanted, had, 0f);
    }
  }

  @Test
  void permutedRowsAreTheSameRowsElsewhere() {
    // Given
    GgmlMatrix matrix = BlockQuantizer.q8(INPUT);
    float[] all = floats(matrix);
    // When
    GgmlMatrix moved = matrix.permutedRows(new int[] {6, 0, 3});
    // Then
    float[] had = floats(moved);
    for (int c = 0; c < 96; c++) {
      assertEquals(all[6 * 96 + c], had[c]);
      assertEquals(all[c], had[96 + c]);
      assertEquals(all[3 * 96 + c], had[2 * 96 + c]);
    }
  }
}
