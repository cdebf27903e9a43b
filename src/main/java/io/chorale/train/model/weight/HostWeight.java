package io.chorale.train.model.weight;

import io.chorale.quant.PackedMatrix;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.math.Buffers;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;

/** Any other block format: stays in its file and is decoded on the host, a band at a time. */
final class HostWeight extends FrozenWeight {
  private static final int BAND_ELEMENTS = 1 << 20;

  private final PackedMatrix matrix;
  private final TorchDevice device;

  HostWeight(PackedMatrix matrix, TorchDevice device) {
    super(matrix.rows(), matrix.cols());
    this.matrix = matrix;
    this.device = device;
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
