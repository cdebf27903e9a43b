package io.chorale.train.model.weight;

import io.chorale.kernel.train.TrainKernels;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.TensorType;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.math.Buffers;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * GGUF's Q4_0 {@code (q - 8) d} and Q4_1 {@code q d + m}, blocks of 32. The nibbles are laid out
 * anew so that unpacking runs along rows: byte i of a row holds value i in its low and value {@code
 * i + cols / 2} in its high half. Scales stay half precision as stored.
 */
final class AffineWeight extends FrozenWeight {
  private static final int BLOCK = 32;
  private static final int CHUNK_ELEMENTS = 1 << 17;

  private final Tensor nibbles;
  private final Tensor scales;
  private final Tensor mins;
  private final TorchDevice device;

  private AffineWeight(
      GgmlMatrix matrix, TorchDevice device, Tensor nibbles, Tensor scales, Tensor mins) {
    super(matrix.rows(), matrix.cols());
    this.device = device;
    this.nibbles = nibbles;
    this.scales = scales;
    this.mins = mins;
  }

  static AffineWeight of(GgmlMatrix matrix, TorchDevice device) {
    int rows = matrix.rows();
    int cols = matrix.cols();
    int blocks = cols / BLOCK;
    boolean withMin = matrix.type() == TensorType.Q4_1;
    int header = withMin ? 4 : 2;
    byte[] scaleBytes = new byte[rows * blocks * 2];
    byte[] minBytes = new byte[withMin ? scaleBytes.length : 0];
    byte[] packed = new byte[rows * cols / 2];
    byte[] row = new byte[matrix.rowBytes()];
    byte[] values = new byte[cols];
    ByteBuffer source = matrix.blocks();
    for (int r = 0; r < rows; r++) {
      source.get(r * row.length, row);
      for (int b = 0; b < blocks; b++) {
        int at = b * matrix.type().blockBytes();
        System.arraycopy(row, at, scaleBytes, (r * blocks + b) * 2, 2);
        if (withMin) {
          System.arraycopy(row, at + 2, minBytes, (r * blocks + b) * 2, 2);
        }
        for (int j = 0; j < BLOCK / 2; j++) {
          values[b * BLOCK + j] = (byte) (row[at + header + j] & 15);
          values[b * BLOCK + BLOCK / 2 + j] = (byte) (row[at + header + j] >> 4 & 15);
        }
      }
      for (int i = 0; i < cols / 2; i++) {
        packed[r * cols / 2 + i] = (byte) (values[i] | values[i + cols / 2] << 4);
      }
    }
    try (Scope scope = Scope.open()) {
      return new AffineWeight(
          matrix,
          device,
          scope.escape(device.bytes(packed, rows, cols / 2)),
          scope.escape(halves(scaleBytes, device, rows, blocks)),
          withMin ? scope.escape(halves(minBytes, device, rows, blocks)) : null);
    }
  }

  private static Tensor halves(byte[] bytes, TorchDevice device, int rows, int blocks) {
    return device.bytes(bytes, bytes.length).view(ScalarType.Half).view(rows, blocks, 1);
  }

  @Override
  public boolean quantized() {
    return true;
  }

  @Override
  public long heldBytes() {
    return nibbles.numel() + 2 * scales.numel() + (mins == null ? 0 : 2 * mins.numel());
  }

  @Override
  public Tensor dense(Buffers buffers, String name) {
    Tensor out = buffers.take(name, rows(), cols());
    TrainKernels kernels = TrainKernels.on(out);
    if (kernels != null) {
      kernels.unpackQ4(nibbles, scales, mins, out);
      return out;
    }
    int step = Math.max(1, CHUNK_ELEMENTS / cols());
    for (int from = 0; from < rows(); from += step) {
      try (Scope scope = Scope.open()) {
        int count = Math.min(step, rows() - from);
        unpack(
            nibbles.narrow(0, from, count),
            scales.narrow(0, from, count),
            mins == null ? null : mins.narrow(0, from, count),
            out.narrow(0, from, count));
      }
    }
    return out;
  }

  @Override
  public Tensor rows(int[] ids, Buffers buffers) {
    Tensor index = buffers.device().longs(Arrays.stream(ids).asLongStream().toArray());
    Tensor out = device.zeros(buffers.type(), ids.length, cols());
    unpack(
        nibbles.index_select(0, index),
        scales.index_select(0, index),
        mins == null ? null : mins.index_select(0, index),
        out);
    return out;
  }

  private void unpack(Tensor packed, Tensor scale, Tensor min, Tensor out) {
    TrainKernels kernels = TrainKernels.on(out);
    if (kernels != null) {
      kernels.unpackQ4(packed, scale, min, out);
      return;
    }
    long half = cols() / 2;
    boolean direct = out.scalar_type().intern() == ScalarType.Float;
    Tensor values = direct ? out : device.zeros(ScalarType.Float, out.size(0), out.size(1));
    values.narrow(1, 0, half).copy_(packed.bitwise_and(new Scalar((byte) 15)));
    values.narrow(1, half, half).copy_(packed.__rshift__(new Scalar((byte) 4)));
    Tensor blocks = values.view(values.size(0), -1, BLOCK);
    if (min == null) {
      values.sub_(new Scalar(8.0));
      blocks.mul_(scale.to(ScalarType.Float));
    } else {
      // Two roundings, as the decoder has them; no fused multiply-add.
      blocks.mul_(scale.to(ScalarType.Float));
      blocks.add_(min.to(ScalarType.Float));
    }
    if (!direct) {
      out.copy_(values);
    }
  }

  @Override
  public void close() {
    nibbles.close();
    scales.close();
    if (mins != null) {
      mins.close();
    }
  }
}
