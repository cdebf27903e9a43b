package io.chorale.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.format.GoldenFiles;
import io.chorale.format.SafetensorsFiles;
import io.chorale.format.TensorData;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Golden: quant/nf4.safetensors, bitsandbytes' quantize_4bit and dequantization. */
class Nf4MatrixTest {
  private static final SafetensorsFiles GOLDEN = GoldenFiles.tensors("quant/nf4.safetensors");

  private static GgmlMatrix input(String name) {
    TensorData t = GOLDEN.tensor(name + ".input");
    return new GgmlMatrix(t.type(), (int) t.shape()[0], (int) t.shape()[1], t.bytes());
  }

  private static byte[] packed(Nf4Matrix matrix) {
    byte[] bytes = new byte[matrix.packed().remaining()];
    matrix.packed().get(bytes);
    return bytes;
  }

  private static Nf4Matrix stored(String name) {
    GgmlMatrix shape = input(name);
    return Nf4Matrix.of(
        shape.rows(),
        shape.cols(),
        GOLDEN.tensor(name + ".packed").bytes(),
        GOLDEN.tensor(name + ".absmax").toFloats());
  }

  private static Nf4Matrix storedDoubleQuant(String name) {
    GgmlMatrix shape = input(name);
    return Nf4Matrix.of(
        shape.rows(),
        shape.cols(),
        GOLDEN.tensor(name + ".packed").bytes(),
        new Nf4Matrix.DoubleQuant(
            GoldenFiles.bytes(GOLDEN, name + ".dq_codes"),
            GOLDEN.tensor(name + ".dq_absmax").toFloats(),
            GOLDEN.tensor(name + ".dq_code").toFloats(),
            GOLDEN.tensor(name + ".dq_offset").toFloats()[0]));
  }

  private static float[] floats(PackedMatrix matrix) {
    float[] values = new float[matrix.rows() * matrix.cols()];
    matrix.dequantizeRows(0, matrix.rows(), values);
    return values;
  }

  @ParameterizedTest
  @ValueSource(strings = {"square", "straddling", "odd", "partial", "groups", "ties"})
  void quantizingGivesTheSameBytesAndScalesAsBitsandbytes(String name) {
    // When
    Nf4Matrix had = Nf4Quantizer.quantize(input(name), false);
    // Then
    assertArrayEquals(GoldenFiles.bytes(GOLDEN, name + ".packed"), packed(had));
    assertArrayEquals(GOLDEN.tensor(name + ".absmax").toFloats(), had.absmax(), 0f);
  }

  @ParameterizedTest
  @ValueSource(strings = {"square", "straddling", "odd", "partial", "ties"})
  void storedBytesUnpackToTheSameBitsAsBitsandbytes(String name) {
    // When
    float[] had = floats(stored(name));
    // Then
    assertArrayEquals(GOLDEN.tensor(name + ".floats").toFloats(), had, 0f);
  }

  @ParameterizedTest
  @ValueSource(strings = {"square", "straddling", "groups"})
  void doubleQuantizedBytesUnpackToTheSameBitsAsBitsandbytes(String name) {
    // When
    float[] had = floats(storedDoubleQuant(name));
    // Then
    assertArrayEquals(GOLDEN.tensor(name + ".dq_floats").toFloats(), had, 0f);
  }

  @ParameterizedTest
  @ValueSource(strings = {"square", "straddling", "groups"})
  void doubleQuantizingGivesTheSameCodesAsBitsandbytes(String name) {
    // Given
    Nf4Matrix.DoubleQuant wanted = storedDoubleQuant(name).doubleQuant().orElseThrow();
    // When
    Nf4Matrix matrix = Nf4Quantizer.quantize(input(name), true);
    // Then
    Nf4Matrix.DoubleQuant had = matrix.doubleQuant().orElseThrow();
    assertArrayEquals(GoldenFiles.bytes(GOLDEN, name + ".packed"), packed(matrix));
    assertArrayEquals(wanted.code(), had.code(), 0f);
    assertArrayEquals(wanted.codes(), had.codes());
    // torch sums the mean in float32 in an order of its own
    assertEquals(wanted.offset(), had.offset(), 1e-6f * Math.abs(wanted.offset()));
    assertArrayEquals(wanted.absmax(), had.absmax(), 1e-6f * wanted.absmax()[0]);
  }

  @ParameterizedTest
  @ValueSource(strings = {"straddling", "odd", "partial"})
  void anyRangeOfRowsUnpacksAsItDoesInTheWhole(String name) {
    // Given
    Nf4Matrix matrix = stored(name);
    float[] all = floats(matrix);
    for (int from = 0; from <= matrix.rows(); from++) {
      for (int to = from; to <= matrix.rows(); to++) {
        float[] had = new float[(to - from) * matrix.cols()];
        // When
        matrix.dequantizeRows(from, to, had);
        // Then
        int cols = matrix.cols();
        assertArrayEquals(Arrays.copyOfRange(all, from * cols, to * cols), had, 0f);
      }
    }
  }

  @Test
  void doubleQuantizationSavesThreeEighthsOfABitAWeight() {
    // Given
    GgmlMatrix source = input("groups");
    double weights = (double) source.rows() * source.cols();
    // When
    double plain = Nf4Quantizer.quantize(source, false).bytes() * 8 / weights;
    double doubled = Nf4Quantizer.quantize(source, true).bytes() * 8 / weights;
    // Then
    assertEquals(4.5, plain, 1e-9);
    assertEquals(0.37, plain - doubled, 0.01);
  }

  @Test
  void scalesThatDoNotCoverTheBlocksAreRefusedWithBothNumbers() {
    // When
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> Nf4Matrix.of(2, 64, ByteBuffer.allocate(64), new float[3]));
    // Then
    assertTrue(e.getMessage().contains("2 scales"), e.getMessage());
  }

  @Test
  void rowsBeyondTheMatrixAreRefused() {
    // Given
    Nf4Matrix matrix = stored("square");
    // When
    var e =
        assertThrows(
            IllegalArgumentException.class, () -> matrix.dequantizeRows(15, 17, new float[128]));
    // Then
    assertTrue(e.getMessage().contains("16"), e.getMessage());
  }
}
