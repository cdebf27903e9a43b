package io.chorale.train.model.weight;

import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.math.Buffers;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * One weight matrix [rows, cols] of the base, never changed. Float matrices stay in their file's
 * mapping where it has the compute type, 4-bit ones stay 4-bit; {@link #dense} writes the values
 * into a reused buffer when they are needed. The values are those of {@link
 * PackedMatrix#dequantizeRows}, bit for bit, then rounded to the compute type.
 */
public abstract sealed class FrozenWeight implements AutoCloseable
    permits FloatWeight, AffineWeight, Nf4Weight, HostWeight {
  private final int rows;
  private final int cols;

  FrozenWeight(int rows, int cols) {
    this.rows = rows;
    this.cols = cols;
  }

  /**
   * Keeps a matrix.
   *
   * @param compute element type that it will be asked for
   */
  public static FrozenWeight of(PackedMatrix packed, TorchDevice device, ScalarType compute) {
    if (packed instanceof Nf4Matrix nf4 && Nf4Weight.fits(nf4)) {
      return Nf4Weight.of(nf4, device);
    }
    if (packed instanceof GgmlMatrix ggml) {
      TensorType type = ggml.type();
      if (type == TensorType.F32 || type == TensorType.F16 || type == TensorType.BF16) {
        return FloatWeight.of(ggml, device, compute);
      }
      if (type == TensorType.Q4_0 || type == TensorType.Q4_1) {
        return AffineWeight.of(ggml, device);
      }
    }
    return new HostWeight(packed, device);
  }

  public int rows() {
    return rows;
  }

  public int cols() {
    return cols;
  }

  /** Whether the weights are quantized: stored in less than 16 bits. */
  public abstract boolean quantized();

  /** Bytes of libtorch's memory that it holds; a mapped file's pages are not counted. */
  public abstract long heldBytes();

  /**
   * All values, [rows, cols] in the buffers' element type. May be the weight's own memory: read
   * only. Valid until the name is taken again.
   *
   * @param name of the buffer that is written if there is no such memory
   */
  public abstract Tensor dense(Buffers buffers, String name);

  /** Some rows, [ids, cols] in the buffers' element type, in a new tensor. */
  public abstract Tensor rows(int[] ids, Buffers buffers);

  @Override
  public abstract void close();
}
