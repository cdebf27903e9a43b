package io.chorale.adapter.read;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.chorale.format.TensorData;
import io.chorale.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HostTensorsTest {
  private static TensorData f32(float[] values, long... shape) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      bytes.putFloat(value);
    }
    return new TensorData("t", TensorType.F32, shape, bytes.flip());
  }

  private static float[] floats(TensorData tensor) {
    float[] values = new float[(int) tensor.elements()];
    tensor.bytes().duplicate().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
    return values;
  }

  @Test
  void transposeExchangesRowsAndColumns() {
    // Given
    TensorData tensor = f32(new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
    // When
    TensorData turned = HostTensors.transpose(tensor);
    // Then
    assertArrayEquals(new long[] {3, 2}, turned.shape());
    assertArrayEquals(new float[] {1, 4, 2, 5, 3, 6}, floats(turned));
  }

  @Test
  void rotaryPairsOfEachHeadAreSplitIntoHalves() {
    // Given two heads of four rows in llama.cpp's order: (half 0, half 1) of pair 0, then of pair 1
    TensorData tensor = f32(new float[] {0, 2, 1, 3, 10, 12, 11, 13}, 8, 1);
    // When
    TensorData plain = HostTensors.unpermuteRows(tensor, 2);
    // Then
    assertArrayEquals(new float[] {0, 1, 2, 3, 10, 11, 12, 13}, floats(plain));
  }

  @Test
  void q80BlockBecomesFloats() {
    // Given scale 0.5 (0x3800) and 0, -1, 2, -3, ...
    ByteBuffer bytes = ByteBuffer.allocate(34).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putShort((short) 0x3800);
    for (int i = 0; i < 32; i++) {
      bytes.put((byte) (i % 2 == 0 ? i : -i));
    }
    // When
    TensorData copy =
        HostTensors.copy(new TensorData("t", TensorType.Q8_0, new long[] {1, 32}, bytes.flip()));
    // Then
    assertEquals(TensorType.F32, copy.type());
    assertEquals(-1.5f, floats(copy)[3]);
    assertEquals(15f, floats(copy)[30]);
  }

  @ParameterizedTest
  @ValueSource(ints = {0x7c00, 0xfc00, 0x7e00, 0x7c01})
  void halfPrecisionInfinityOrNanIsFoundByItsIndex(int bits) {
    // Given
    ByteBuffer bytes = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putShort(8, (short) bits);
    var tensor = new TensorData("t", TensorType.F16, new long[] {2, 3}, bytes);
    // When
    var refused = assertThrows(IllegalArgumentException.class, () -> HostTensors.copy(tensor));
    // Then
    assertEquals(
        "tensor t has a NaN or an infinity at [1, 1]; did the training diverge?",
        refused.getMessage());
  }

  @Test
  void largestFiniteHalfIsFinite() {
    // Given 65504 and the smallest subnormal
    ByteBuffer bytes = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putShort((short) 0x7bff).putShort((short) 0x0001).flip();
    // When
    TensorData copy = HostTensors.copy(new TensorData("t", TensorType.F16, new long[] {2}, bytes));
    // Then
    assertEquals(bytes, copy.bytes());
  }
}
