package io.chorale.train.model.weight;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.math.Buffers;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FrozenWeightTest {
  private static final Path MODELS = Path.of("src/test/resources/golden/models");
  private static final List<ModuleId> MODULES =
      List.of(
          ModuleId.of(LoraTarget.EMBED_TOKENS),
          new ModuleId(0, LoraTarget.Q_PROJ),
          new ModuleId(1, LoraTarget.K_PROJ),
          new ModuleId(1, LoraTarget.DOWN_PROJ));

  private static float[] decoded(PackedMatrix matrix) {
    float[] out = new float[matrix.rows() * matrix.cols()];
    matrix.dequantizeRows(0, matrix.rows(), out);
    return out;
  }

  /** To the nearest, ties to even. */
  private static float toBfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    return Float.intBitsToFloat(bits + 0x7fff + (bits >>> 16 & 1) & 0xffff0000);
  }

  private static float[] host(Tensor tensor) {
    float[] out = new float[(int) tensor.numel()];
    TorchDevice.CPU.read(tensor.to(ScalarType.Float).contiguous(), out, 0, out.length);
    return out;
  }

  @ParameterizedTest
  @CsvSource({
    "llama, NONE",
    "llama, NF4",
    "llama, NF4_DQ",
    "llama, Q4",
    "llama, Q8",
    "llama-nf4-dq, NONE",
    "gguf/llama-f16.gguf, NONE",
    "gguf/llama-q4_1.gguf, NONE",
    "gguf/llama-untied-q4_0.gguf, NONE",
    "gguf/llama3-rope-q8_0.gguf, NONE"
  })
  void valuesAreTheDecodersBitForBit(String base, Quantization quantization) throws IOException {
    try (BaseModelFiles files = BaseModelFiles.open(MODELS.resolve(base), quantization);
        Scope scope = Scope.open();
        Buffers floats = new Buffers(TorchDevice.CPU, ScalarType.Float);
        Buffers halves = new Buffers(TorchDevice.CPU, ScalarType.BFloat16)) {
      for (ModuleId id : MODULES) {
        PackedMatrix matrix = files.linear(id);
        float[] wanted = decoded(matrix);
        float[] rounded = new float[wanted.length];
        for (int i = 0; i < wanted.length; i++) {
          rounded[i] = toBfloat16(wanted[i]);
        }
        try (FrozenWeight weight = FrozenWeight.of(matrix, TorchDevice.CPU, ScalarType.Float)) {
          assertArrayEquals(wanted, host(weight.dense(floats, "w")), id + " in float32");
          assertArrayEquals(rounded, host(weight.dense(halves, "w")), id + " in bfloat16");
          float[] row = new float[matrix.cols()];
          System.arraycopy(wanted, 3 * row.length, row, 0, row.length);
          Tensor rows = weight.rows(new int[] {7, 3}, floats);
          assertArrayEquals(row, host(rows.narrow(0, 1, 1)), id + " row 3");
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "llama, NONE, 2",
    "llama, NF4, 0.5625",
    "llama, Q4, 0.625",
    "gguf/llama-q4_1.gguf, NONE, 0.625",
    "gguf/llama-untied-q4_0.gguf, NONE, 0.5625"
  })
  void weightIsHeldInTheBytesItIsStoredIn(String base, Quantization quantization, double bytes)
      throws IOException {
    try (BaseModelFiles files = BaseModelFiles.open(MODELS.resolve(base), quantization)) {
      PackedMatrix matrix = files.linear(new ModuleId(0, LoraTarget.UP_PROJ));
      double elements = (double) matrix.rows() * matrix.cols();
      ScalarType compute = base.equals("llama") ? ScalarType.BFloat16 : ScalarType.Float;
      try (FrozenWeight weight = FrozenWeight.of(matrix, TorchDevice.CPU, compute)) {
        int table = quantization == Quantization.NF4 ? 2048 : 0;
        assertEquals(bytes, (weight.heldBytes() - table) / elements, 1e-9);
        assertTrue(weight.quantized() == bytes < 2);
      }
    }
  }

  @Test
  void mappedFloatsAreNotCopiedAndOutliveTheChannel(@TempDir Path folder) throws IOException {
    // Given
    Path file = folder.resolve("weights");
    ByteBuffer bytes = ByteBuffer.allocate(8 * 16 * 4).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 8 * 16; i++) {
      bytes.putFloat(i);
    }
    Files.write(file, bytes.array());
    ByteBuffer mapped;
    try (FileChannel channel = FileChannel.open(file)) {
      mapped = channel.map(FileChannel.MapMode.READ_ONLY, 64, 7 * 16 * 4);
    }
    GgmlMatrix matrix = new GgmlMatrix(TensorType.F32, 7, 16, mapped);
    // When
    try (FrozenWeight weight = FrozenWeight.of(matrix, TorchDevice.CPU, ScalarType.Float);
        Scope scope = Scope.open();
        Buffers buffers = new Buffers(TorchDevice.CPU, ScalarType.Float)) {
      Tensor dense = weight.dense(buffers, "w");
      // Then
      assertEquals(0, weight.heldBytes() + buffers.bytes());
      assertEquals(16f, host(dense)[0]);
      assertEquals(127f, host(dense)[7 * 16 - 1]);
    }
  }
}
