package io.chorale.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.format.GoldenFiles;
import io.chorale.format.SafetensorsFiles;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;

/** Golden: quant/gguf.safetensors, numpy's float16. */
class HalfFloatsTest {
  private static final SafetensorsFiles GOLDEN = GoldenFiles.tensors("quant/gguf.safetensors");

  private static short[] shorts(String name) {
    ByteBuffer bytes = GOLDEN.tensor(name).bytes().order(ByteOrder.LITTLE_ENDIAN);
    short[] values = new short[bytes.remaining() / 2];
    bytes.asShortBuffer().get(values);
    return values;
  }

  @Test
  void halvesWidenToTheSameBitsAsNumpy() {
    // Given
    short[] bits = shorts("half.bits");
    float[] wanted = GOLDEN.tensor("half.floats").toFloats();
    // When, then
    for (int i = 0; i < bits.length; i++) {
      assertEquals(
          Float.floatToRawIntBits(wanted[i]),
          Float.floatToRawIntBits(HalfFloats.halfToFloat(bits[i])),
          "half " + bits[i]);
    }
  }

  @Test
  void floatsNarrowAsNumpyDoesWithTiesSubnormalsAndOverflow() {
    // Given
    float[] values = GOLDEN.tensor("narrow.floats").toFloats();
    short[] wanted = shorts("narrow.bits");
    // When, then
    for (int i = 0; i < values.length; i++) {
      assertEquals(wanted[i], HalfFloats.floatToHalf(values[i]), "float " + values[i]);
    }
  }

  @Test
  void everyHalfSurvivesTheWayThere() {
    // When, then
    for (int bits = 0; bits < 1 << 16; bits++) {
      if ((bits & 0x7c00) != 0x7c00 || (bits & 0x3ff) == 0) {
        assertEquals((short) bits, HalfFloats.floatToHalf(HalfFloats.halfToFloat(bits)));
      }
    }
    assertTrue(Float.isNaN(HalfFloats.halfToFloat(HalfFloats.floatToHalf(Float.NaN))));
  }
}
