package io.chorale.kernel.train;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.kernel.NativeLibrary;
import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.TensorType;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Blocks become the very numbers of their definition, float32 with the roundings that the formats
 * have, then the nearest bfloat16; on every instruction set of this machine.
 */
class TrainUnpackTest {
  private static final float[] NF4 = {
    -1f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1f
  };
  private static final int ROWS = 5;

  static Stream<InstructionSet> sets() {
    return NativeLibrary.supported().stream();
  }

  private final Random random = new Random(9);

  private byte[] bytes(int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }

  private Tensor halves(int rows, int cols) {
    float[] values = new float[rows * cols];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian() * 0.03f;
    }
    return TorchDevice.CPU.floats(values, rows, cols).to(ScalarType.Half).contiguous();
  }

  private static float[] floats(Tensor x) {
    Tensor wide = x.to(ScalarType.Float).contiguous();
    float[] values = new float[(int) wide.numel()];
    wide.data_ptr_float().get(values, 0, values.length);
    return values;
  }

  private interface Unpack {
    void into(Tensor out);
  }

  private static void assertUnpacks(float[] wanted, long[] shape, String what, Unpack unpack) {
    for (ScalarType type : new ScalarType[] {ScalarType.Float, ScalarType.BFloat16}) {
      Tensor out = TorchDevice.CPU.zeros(type, shape);
      unpack.into(out);
      Tensor rounded = TorchDevice.CPU.floats(wanted, shape).to(type);
      assertTrue(rounded.equal(out), what + " as " + type);
    }
  }

  @ParameterizedTest
  @MethodSource("sets")
  void fourBitBlocksWithAndWithoutMins(InstructionSet set) {
    for (int cols : new int[] {32, 96, 576, 544}) {
      try (Scope scope = Scope.open()) {
        // Given
        byte[] codes = bytes(ROWS * cols / 2);
        Tensor packed = TorchDevice.CPU.bytes(codes, ROWS, cols / 2);
        Tensor scales = halves(ROWS, cols / 32);
        Tensor mins = halves(ROWS, cols / 32);
        float[] d = floats(scales);
        float[] m = floats(mins);
        float[] with = new float[ROWS * cols];
        float[] without = new float[ROWS * cols];
        for (int i = 0; i < with.length; i++) {
          int row = i / cols;
          int col = i % cols;
          int code = codes[row * cols / 2 + col % (cols / 2)] & 0xff;
          code = col < cols / 2 ? code & 15 : code >> 4;
          int block = row * (cols / 32) + col / 32;
          float product = code * d[block];
          with[i] = product + m[block];
          without[i] = (code - 8) * d[block];
        }
        long[] shape = {ROWS, cols};
        TrainKernels kernels = new TrainKernels(set);
        // Then
        assertUnpacks(
            with, shape, "Q4_1 " + cols, out -> kernels.unpackQ4(packed, scales, mins, out));
        assertUnpacks(
            without, shape, "Q4_0 " + cols, out -> kernels.unpackQ4(packed, scales, null, out));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("sets")
  void eightBitBlocksAsTheFileHasThem(InstructionSet set) {
    for (int cols : new int[] {32, 576}) {
      try (Scope scope = Scope.open()) {
        // Given
        int blocks = ROWS * cols / 32;
        ByteBuffer file = ByteBuffer.allocateDirect(blocks * 34).order(ByteOrder.LITTLE_ENDIAN);
        for (int b = 0; b < blocks; b++) {
          file.putShort((short) (0x2000 + random.nextInt(0x400))).put(bytes(32));
        }
        file.flip();
        float[] wanted = new float[ROWS * cols];
        new GgmlMatrix(TensorType.Q8_0, ROWS, cols, file).dequantizeRows(0, ROWS, wanted);
        TrainKernels kernels = new TrainKernels(set);
        BytePointer blocksOfFile = new BytePointer(file);
        // Then
        assertUnpacks(
            wanted,
            new long[] {ROWS, cols},
            "Q8_0 " + cols,
            out -> kernels.unpackQ8(blocksOfFile, out));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("sets")
  void normalFloatBlocksWithPlainAndDoublyQuantizedScales(InstructionSet set) {
    try (Scope scope = Scope.open()) {
      // Given
      int blocks = 300;
      byte[] codes = bytes(blocks * 32);
      byte[] scaleCodes = bytes(blocks);
      float[] table = new float[256];
      float[] plain = new float[blocks];
      float[] absmax = {0.7f, 0.31f};
      float offset = 0.83f;
      for (int i = 0; i < 256; i++) {
        table[i] = (i - 127) / 300f;
      }
      float[] twice = new float[blocks * 64];
      float[] once = new float[blocks * 64];
      for (int b = 0; b < blocks; b++) {
        plain[b] = random.nextFloat();
        float product = table[scaleCodes[b] & 0xff] * absmax[b / 256];
        for (int i = 0; i < 64; i++) {
          int pair = codes[b * 32 + i / 2] & 0xff;
          float value = NF4[i % 2 == 0 ? pair >> 4 : pair & 15];
          once[b * 64 + i] = value * plain[b];
          twice[b * 64 + i] = value * (product + offset);
        }
      }
      long[] shape = {blocks, 64};
      Tensor packed = TorchDevice.CPU.bytes(codes, codes.length);
      Tensor scales = TorchDevice.CPU.floats(plain, blocks);
      Tensor small = TorchDevice.CPU.bytes(scaleCodes, blocks);
      Tensor map = TorchDevice.CPU.floats(table, 256);
      Tensor large = TorchDevice.CPU.floats(absmax, 2);
      TrainKernels kernels = new TrainKernels(set);
      // Then
      assertUnpacks(once, shape, "NF4", out -> kernels.unpackNf4(packed, scales, out));
      assertUnpacks(
          twice,
          shape,
          "NF4 with quantized scales",
          out -> kernels.unpackNf4(packed, small, map, large, offset, out));
    }
  }

  @ParameterizedTest
  @MethodSource("sets")
  void oneThreadAndTwoUnpackAlike(InstructionSet set) {
    try (Scope scope = Scope.open()) {
      // Given
      int cols = 1536;
      int rows = 64;
      Tensor packed = TorchDevice.CPU.bytes(bytes(rows * cols / 2), rows, cols / 2);
      Tensor scales = halves(rows, cols / 32);
      Tensor[] out = new Tensor[2];
      // When
      for (int i = 0; i < 2; i++) {
        torch.set_num_threads(i + 1);
        out[i] = TorchDevice.CPU.zeros(ScalarType.BFloat16, rows, cols);
        new TrainKernels(set).unpackQ4(packed, scales, scales, out[i]);
      }
      torch.set_num_threads(Runtime.getRuntime().availableProcessors());
      // Then
      assertTrue(out[0].equal(out[1]));
    }
  }
}
