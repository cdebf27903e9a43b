package io.chorale.kernel;

import io.chorale.quant.AffineBlocks;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import java.util.Arrays;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A weight as libtorch tensors: dense float32, or 4-bit codes that are dequantized for each product
 * (then only one matrix at a time is ever dense). Read-only; engine thread.
 */
abstract sealed class TorchWeight implements Weight {
  private final int rows;
  private final int cols;

  TorchWeight(int rows, int cols) {
    this.rows = rows;
    this.cols = cols;
  }

  @Override
  public int rows() {
    return rows;
  }

  @Override
  public int cols() {
    return cols;
  }

  /** The weight as float32 [rows, cols]; may be this weight's own memory: not to be changed. */
  abstract Tensor dense();

  /** Rows of the dense form, float32 [ids, cols]. */
  abstract Tensor rowsOf(Tensor ids);

  /** {@code x W^T} as a new tensor. */
  Tensor product(Tensor x) {
    return torch.mm(x, dense().t());
  }

  /** Dense float32, filled a band of rows at a time so that the host never holds it twice. */
  static TorchWeight dense(PackedMatrix packed, TorchDevice device) {
    try (Scope scope = Scope.open()) {
      Tensor all = device.zeros(ScalarType.Float, packed.rows(), packed.cols());
      int band = Math.max(1, (1 << 20) / packed.cols());
      float[] values = new float[Math.min(band, packed.rows()) * packed.cols()];
      for (int from = 0; from < packed.rows(); from += band) {
        int count = Math.min(band, packed.rows() - from);
        packed.dequantizeRows(from, from + count, values);
        try (Scope step = Scope.open()) {
          Tensor target = all.narrow(0, from, count);
          if (device == TorchDevice.CPU) {
            target.data_ptr_float().put(values, 0, count * packed.cols());
          } else {
            float[] exact = Arrays.copyOf(values, count * packed.cols());
            target.copy_(device.floats(exact, count, packed.cols()));
          }
        }
      }
      return new Dense(scope.escape(all), packed.rows(), packed.cols());
    }
  }

  /** Q4_0, Q4_1 and NF4 keep their 4-bit codes and scales; anything else becomes dense. */
  static TorchWeight packed(PackedMatrix packed, TorchDevice device) {
    if (packed instanceof Nf4Matrix nf4
        && nf4.packed().remaining() % (Nf4Matrix.BLOCK_SIZE / 2) == 0) {
      return nf4(nf4, device);
    }
    if (packed instanceof GgmlMatrix ggml
        && (ggml.type() == TensorType.Q4_0 || ggml.type() == TensorType.Q4_1)) {
      return affine(ggml, device);
    }
    return dense(packed, device);
  }

  private static TorchWeight nf4(Nf4Matrix matrix, TorchDevice device) {
    try (Scope scope = Scope.open()) {
      byte[] codes = new byte[matrix.packed().remaining()];
      matrix.packed().get(codes);
      float[] absmax = matrix.absmax();
      return new Nf4(
          matrix.rows(),
          matrix.cols(),
          Nf4Matrix.BLOCK_SIZE,
          scope.escape(device.bytes(codes, codes.length)),
          scope.escape(device.floats(absmax, absmax.length, 1)),
          scope.escape(device.floats(Nf4Matrix.code(), 16)));
    }
  }

  private static TorchWeight affine(GgmlMatrix matrix, TorchDevice device) {
    int blocks = matrix.cols() / AffineBlocks.BLOCK;
    AffineBlocks parts = matrix.affineRows(0, matrix.rows());
    byte[] codes = new byte[parts.nibbles().length / 2];
    for (int b = 0; b < parts.scales().length; b++) {
      for (int j = 0; j < 16; j++) {
        int low = parts.nibbles()[b * 32 + j];
        int high = parts.nibbles()[b * 32 + 16 + j];
        codes[b * 16 + j] = (byte) (low | high << 4);
      }
    }
    try (Scope scope = Scope.open()) {
      return new Affine4(
          matrix.rows(),
          matrix.cols(),
          scope.escape(device.bytes(codes, matrix.rows(), blocks, 16)),
          scope.escape(device.floats(parts.scales(), matrix.rows(), blocks, 1)),
          scope.escape(device.floats(parts.mins(), matrix.rows(), blocks, 1)));
    }
  }

  private static final class Dense extends TorchWeight {
    private final Tensor values;

    Dense(Tensor values, int rows, int cols) {
      super(rows, cols);
      this.values = values;
    }

    @Override
    Tensor dense() {
      return values;
    }

    @Override
    Tensor rowsOf(Tensor ids) {
      return values.index_select(0, ids);
    }

    @Override
    public long bytes() {
      return 4L * rows() * cols();
    }

    @Override
    public String layout() {
      return "F32";
    }
  }

  /**
   * Affine 4-bit blocks of 32: {@code w = code * scale + min}. GGUF's Q4_0 and Q4_1 as they are:
   * byte j of a block holds value j in its low and value j + 16 in its high half.
   */
  static final class Affine4 extends TorchWeight {
    private static final int BLOCK = 32;
    private final Tensor codes;
    private final Tensor scales;
    private final Tensor mins;

    /**
     * @param codes uint8 [rows, cols / 32, 16]
     * @param scales float32 [rows, cols / 32, 1]
     * @param mins float32 [rows, cols / 32, 1]
     */
    Affine4(int rows, int cols, Tensor codes, Tensor scales, Tensor mins) {
      super(rows, cols);
      this.codes = codes;
      this.scales = scales;
      this.mins = mins;
    }

    @Override
    Tensor dense() {
      return unpack(codes, scales, mins);
    }

    @Override
    Tensor rowsOf(Tensor ids) {
      return unpack(
          codes.index_select(0, ids), scales.index_select(0, ids), mins.index_select(0, ids));
    }

    private Tensor unpack(Tensor packed, Tensor scale, Tensor min) {
      Tensor low = packed.bitwise_and(new Scalar((byte) 15));
      Tensor high = packed.__rshift__(new Scalar((byte) 4));
      Tensor both = torch.cat(TorchOps.list(low, high), 2).to(ScalarType.Float);
      return both.mul_(scale).add_(min).view(-1, cols());
    }

    @Override
    public long bytes() {
      return (long) rows() * cols() / BLOCK * (BLOCK / 2 + 8);
    }

    @Override
    public String layout() {
      return "Q4";
    }
  }

  /**
   * NF4 blocks of 64 (Dettmers et al. 2023, arXiv:2305.14314): {@code w = codebook[code] * absmax};
   * the high half of a byte is the earlier value, and blocks run over the flattened matrix, across
   * rows where the columns do not fill them, both as bitsandbytes has it.
   */
  static final class Nf4 extends TorchWeight {
    private final Tensor codes;
    private final Tensor absmax;
    private final Tensor codebook;
    private final int blockSize;

    /**
     * @param codes uint8 [rows * cols / 2]
     * @param absmax float32 [rows * cols / blockSize, 1]
     * @param codebook float32 [16]
     */
    Nf4(int rows, int cols, int blockSize, Tensor codes, Tensor absmax, Tensor codebook) {
      super(rows, cols);
      this.blockSize = blockSize;
      this.codes = codes;
      this.absmax = absmax;
      this.codebook = codebook;
    }

    @Override
    Tensor dense() {
      Tensor high = codes.__rshift__(new Scalar((byte) 4));
      Tensor low = codes.bitwise_and(new Scalar((byte) 15));
      Tensor index = torch.stack(TorchOps.list(high, low), 1).to(ScalarType.Int).view(-1);
      Tensor values = codebook.index_select(0, index).view(-1, blockSize);
      return values.mul_(absmax).view(rows(), cols());
    }

    @Override
    Tensor rowsOf(Tensor ids) {
      return dense().index_select(0, ids);
    }

    @Override
    public long bytes() {
      return (long) rows() * cols() / 2 + 4 * absmax.numel();
    }

    @Override
    public String layout() {
      return "NF4";
    }
  }
}
