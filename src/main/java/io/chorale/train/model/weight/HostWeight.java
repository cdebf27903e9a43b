package io.chorale.train.model.weight;

import io.chorale.kernel.train.TrainKernels;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.math.Buffers;
import java.util.Arrays;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Tensor;

/** Any other block format: stays in its file and is decoded on the host, a band at a time. */
final class HostWeight extends FrozenWeight {
  private static final int BAND_ELEMENTS = 1 << 20;

  private final PackedMatrix matrix;
  private final TorchDevice device;

  /** The file's own blocks, if they are Q8_0; else null. */
  private final BytePointer eightBit;

  HostWeight(PackedMatrix matrix, TorchDevice device) {
    super(matrix.rows(), matrix.cols());
    this.matrix = matrix;
    this.device = device;
    this.eightBit = eightBit(matrix);
  }

  private static BytePointer eightBit(PackedMatrix matrix) {
    if (matrix instanceof GgmlMatrix ggml
        && ggml.type() == TensorType.Q8_0
        && ggml.blocks().isDirect()) {
      try (Scope scope = Scope.open()) {
        return scope.escape(new BytePointer(ggml.blocks()));
      }
    }
    return null;
  }

  @Override
  public boolean quantized() {
    return true;
  }

  @Override
  public long heldBytes() {
    return 0;
  }

  @Override
  public Tensor dense(Buffers buffers, String name) {
    Tensor out = buffers.take(name, rows(), cols());
    TrainKernels kernels = TrainKernels.on(out);
    if (kernels != null && eightBit != null) {
      kernels.unpackQ8(eightBit, out);
      return out;
    }
    int band = Math.max(1, BAND_ELEMENTS / cols());
    float[] values = new float[Math.min(band, rows()) * cols()];
    for (int from = 0; from < rows(); from += band) {
      int count = Math.min(band, rows() - from);
      matrix.dequantizeRows(from, from + count, values);
      try (Scope scope = Scope.open()) {
        float[] exact =
            count * cols() == values.length ? values : Arrays.copyOf(values, count * cols());
        out.narrow(0, from, count).copy_(device.floats(exact, count, cols()));
      }
    }
    return out;
  }

  @Override
  public Tensor rows(int[] ids, Buffers buffers) {
    float[] values = new float[ids.length * cols()];
    float[] row = new float[cols()];
    for (int i = 0; i < ids.length; i++) {
      matrix.dequantizeRows(ids[i], ids[i] + 1, row);
      System.arraycopy(row, 0, values, i * cols(), cols());
    }
    return device.floats(values, ids.length, cols()).to(buffers.type());
  }

  @Override
  public void close() {
    // The file's mapping is the files' own.
  }
}
