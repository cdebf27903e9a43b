package io.chorale.train.model.weight;

import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.TensorType;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.math.Buffers;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** F32, F16 or BF16: the file's own mapping where possible, else a copy. */
final class FloatWeight extends FrozenWeight {
  private final Tensor values;
  private final boolean mapped;

  /** Keeps the mapping alive that {@link #values} may look at. */
  private final Object owner;

  private FloatWeight(GgmlMatrix matrix, Tensor values, boolean mapped) {
    super(matrix.rows(), matrix.cols());
    this.values = values;
    this.mapped = mapped;
    this.owner = matrix;
  }

  static FloatWeight of(GgmlMatrix matrix, TorchDevice device, ScalarType compute) {
    ByteBuffer bytes = matrix.blocks();
    ScalarType stored = torchType(matrix.type());
    try (Scope scope = Scope.open()) {
      long[] shape = {matrix.rows(), matrix.cols()};
      BytePointer address = new BytePointer(bytes);
      if (!bytes.isDirect()) {
        byte[] copy = new byte[bytes.remaining()];
        bytes.get(copy);
        address = new BytePointer(copy);
      }
      Tensor there = torch.from_blob(address, shape, new TensorOptions(stored));
      // A wider type than the compute type is narrowed once; a narrower one is widened at each use.
      boolean narrows = compute == ScalarType.BFloat16 && stored == ScalarType.Float;
      boolean mapped = bytes.isDirect() && !narrows && device == TorchDevice.CPU;
      if (mapped) {
        scope.escape(address);
        return new FloatWeight(matrix, scope.escape(there), true);
      }
      Tensor own = device.here(there.to(narrows ? compute : stored, false, true, null));
      return new FloatWeight(matrix, scope.escape(own), false);
    }
  }

  private static ScalarType torchType(TensorType type) {
    return switch (type) {
      case F32 -> ScalarType.Float;
      case F16 -> ScalarType.Half;
      case BF16 -> ScalarType.BFloat16;
      default -> throw new IllegalArgumentException(type + " is not a float type");
    };
  }

  @Override
  public boolean quantized() {
    return false;
  }

  @Override
  public long heldBytes() {
    return mapped ? 0 : values.numel() * values.element_size();
  }

  @Override
  public Tensor dense(Buffers buffers, String name) {
    return values.scalar_type().intern() == buffers.type()
        ? values
        : buffers.take(name, rows(), cols()).copy_(values);
  }

  @Override
  public Tensor rows(int[] ids, Buffers buffers) {
    Tensor index = buffers.device().longs(Arrays.stream(ids).asLongStream().toArray());
    return values.index_select(0, index).to(buffers.type());
  }

  @Override
  public void close() {
    values.close();
  }
}
