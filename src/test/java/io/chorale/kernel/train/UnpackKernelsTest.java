package io.chorale.kernel.train;

import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.quant.BlockQuantizer;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.Nf4Quantizer;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import io.chorale.tensor.TorchDevice;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Unpacked weights against the decoders of {@code io.chorale.quant}, bit for bit. */
@ParameterizedClass(allowZeroInvocations = true)
@MethodSource("cases")
class UnpackKernelsTest extends KernelCase {
  UnpackKernelsTest(InstructionSet set, ScalarType type) {
    super(set, type);
  }

  private GgmlMatrix source(int rows, int cols) {
    ByteBuffer bytes = ByteBuffer.allocate(rows * cols * 4).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < rows * cols; i++) {
      bytes.putFloat((float) random.nextGaussian());
    }
    return new GgmlMatrix(TensorType.F32, rows, cols, bytes.flip());
  }

  private void assertDecoded(PackedMatrix matrix, Tensor out) {
    float[] wanted = new float[matrix.rows() * matrix.cols()];
    matrix.dequantizeRows(0, matrix.rows(), wanted);
    assertSameBits(
        TorchDevice.CPU.floats(wanted, matrix.rows(), matrix.cols()).to(type), out, "values");
  }

  private static byte[] bytes(ByteBuffer from) {
    byte[] bytes = new byte[from.remaining()];
    from.duplicate().get(bytes);
    return bytes;
  }

  @ParameterizedTest
  @CsvSource({"1, 32", "3, 96", "257, 64", "5, 544", "700, 576"})
  void fourBitsAreTheDecodersBits(int rows, int cols) {
    for (boolean withMin : new boolean[] {false, true}) {
      GgmlMatrix source = source(rows, cols);
      GgmlMatrix matrix = withMin ? BlockQuantizer.q4x1(source) : BlockQuantizer.q4x0(source);
      byte[] blocks = bytes(matrix.blocks());
      int header = withMin ? 4 : 2;
      int count = cols / 32;
      byte[] scales = new byte[rows * count * 2];
      byte[] mins = new byte[rows * count * 2];
      byte[] codes = new byte[rows * cols / 2];
      for (int b = 0; b < rows * count; b++) {
        int at = b * (header + 16);
        System.arraycopy(blocks, at, scales, b * 2, 2);
        System.arraycopy(blocks, at + header - 2, mins, b * 2, 2);
        for (int j = 0; j < 32; j++) {
          int code = blocks[at + header + j % 16] >> (j / 16 * 4) & 15;
          int col = b % count * 32 + j;
          int place = b / count * (cols / 2) + col % (cols / 2);
          codes[place] |= (byte) (col < cols / 2 ? code : code << 4);
        }
      }
      Tensor out = unwritten(rows, cols);
      kernels.unpackQ4(
          TorchDevice.CPU.bytes(codes, codes.length),
          TorchDevice.CPU.bytes(scales, scales.length),
          withMin ? TorchDevice.CPU.bytes(mins, mins.length) : null,
          out);
      assertDecoded(matrix, out);
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 32", "3, 96", "257, 64", "700, 576"})
  void eightBitsAreTheDecodersBits(int rows, int cols) {
    GgmlMatrix matrix = BlockQuantizer.q8(source(rows, cols));
    Tensor out = unwritten(rows, cols);
    kernels.unpackQ8(new BytePointer(bytes(matrix.blocks())), out);
    assertDecoded(matrix, out);
  }

  @ParameterizedTest
  @CsvSource({"1, 64", "2, 96", "257, 64", "700, 576"})
  void normalFloatsAreTheDecodersBits(int rows, int cols) {
    for (boolean doubled : new boolean[] {false, true}) {
      Nf4Matrix matrix = Nf4Quantizer.quantize(source(rows, cols), doubled);
      byte[] packed = bytes(matrix.packed());
      Tensor codes = TorchDevice.CPU.bytes(packed, packed.length);
      Tensor out = unwritten(rows, cols);
      if (doubled) {
        Nf4Matrix.DoubleQuant d = matrix.doubleQuant().orElseThrow();
        kernels.unpackNf4(
            codes,
            TorchDevice.CPU.bytes(d.codes(), d.codes().length),
            TorchDevice.CPU.floats(d.code(), d.code().length),
            TorchDevice.CPU.floats(d.absmax(), d.absmax().length),
            d.offset(),
            out);
      } else {
        kernels.unpackNf4(
            codes, TorchDevice.CPU.floats(matrix.absmax(), matrix.absmax().length), out);
      }
      assertDecoded(matrix, out);
    }
  }
}
