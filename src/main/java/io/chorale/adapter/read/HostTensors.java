package io.chorale.adapter.read;

import io.chorale.format.TensorData;
import io.chorale.quant.BlockDecoder;
import io.chorale.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;

/**
 * Copies of a file's tensors on the heap: checked finite, little-endian, position 0. The file may
 * be rewritten or closed afterwards. Float tensors keep their type; Q8_0 becomes F32. Stateless.
 */
public final class HostTensors {
  private static final Set<TensorType> FLOATS =
      EnumSet.of(TensorType.F32, TensorType.F16, TensorType.BF16);

  private HostTensors() {}

  /**
   * @throws IllegalArgumentException if it is not of float type, or naming the first element that
   *     is NaN or infinite
   */
  public static TensorData copy(TensorData stored) {
    if (stored.type() == TensorType.Q8_0) {
      return checked(dequantized(stored));
    }
    if (!FLOATS.contains(stored.type())) {
      throw new IllegalArgumentException(
          "tensor %s has type %s, wanted F32, F16 or BF16".formatted(stored.name(), stored.type()));
    }
    ByteBuffer heap = allocate(stored.bytes().remaining());
    heap.put(stored.bytes().duplicate()).flip();
    return checked(new TensorData(stored.name(), stored.type(), stored.shape().clone(), heap));
  }

  /** [rows, cols] to [cols, rows]. */
  public static TensorData transpose(TensorData tensor) {
    int rows = Math.toIntExact(tensor.shape()[0]);
    int cols = Math.toIntExact(tensor.shape()[1]);
    int width = tensor.type().blockBytes();
    ByteBuffer out = allocate(tensor.bytes().remaining());
    for (int row = 0; row < rows; row++) {
      for (int col = 0; col < cols; col++) {
        move(tensor.bytes(), (row * cols + col) * width, out, (col * rows + row) * width, width);
      }
    }
    return new TensorData(tensor.name(), tensor.type(), new long[] {cols, rows}, out);
  }

  /**
   * Rows from llama.cpp's order (a head's two rotary halves interleaved) to transformers' (one half
   * after the other). The inverse of llama.cpp's {@code permute} in convert_hf_to_gguf.py.
   */
  static TensorData unpermuteRows(TensorData tensor, int heads) {
    int rows = Math.toIntExact(tensor.shape()[0]);
    int headDim = rows / heads;
    int rowBytes = tensor.bytes().remaining() / rows;
    ByteBuffer out = allocate(tensor.bytes().remaining());
    for (int row = 0; row < rows; row++) {
      int inHead = row % headDim;
      int half = inHead / (headDim / 2);
      int from = row - inHead + 2 * (inHead % (headDim / 2)) + half;
      move(tensor.bytes(), from * rowBytes, out, row * rowBytes, rowBytes);
    }
    return new TensorData(tensor.name(), tensor.type(), tensor.shape().clone(), out);
  }

  /** The inverse of {@link #unpermuteRows}: transformers' row order to llama.cpp's. */
  public static TensorData permuteRows(TensorData tensor, int heads) {
    int rows = Math.toIntExact(tensor.shape()[0]);
    int headDim = rows / heads;
    int rowBytes = tensor.bytes().remaining() / rows;
    ByteBuffer out = allocate(tensor.bytes().remaining());
    for (int row = 0; row < rows; row++) {
      int inHead = row % headDim;
      int from = row - inHead + inHead / 2 + inHead % 2 * (headDim / 2);
      move(tensor.bytes(), from * rowBytes, out, row * rowBytes, rowBytes);
    }
    return new TensorData(tensor.name(), tensor.type(), tensor.shape().clone(), out);
  }

  private static void move(ByteBuffer from, int fromIndex, ByteBuffer to, int toIndex, int bytes) {
    to.put(toIndex, from, from.position() + fromIndex, bytes);
  }

  private static ByteBuffer allocate(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static TensorData dequantized(TensorData stored) {
    float[] values = new float[Math.toIntExact(stored.elements())];
    BlockDecoder.decode(
        stored.type(), stored.bytes(), stored.bytes().position(), values.length, values, 0);
    ByteBuffer out = allocate(Float.BYTES * values.length);
    out.asFloatBuffer().put(values);
    return new TensorData(stored.name(), TensorType.F32, stored.shape().clone(), out);
  }

  private static TensorData checked(TensorData tensor) {
    ByteBuffer bytes = tensor.bytes();
    int width = tensor.type().blockBytes();
    int exponent = tensor.type() == TensorType.F16 ? 0x7c00 : 0x7f80; // BF16 is F32's upper half
    for (int at = 0; at < bytes.limit(); at += width) {
      int top = bytes.getShort(at + width - 2);
      if ((top & exponent) == exponent) {
        throw new IllegalArgumentException(
            "tensor %s has a NaN or an infinity at %s; did the training diverge?"
                .formatted(tensor.name(), Arrays.toString(index(at / width, tensor.shape()))));
      }
    }
    return tensor;
  }

  private static long[] index(long flat, long[] shape) {
    long[] index = new long[shape.length];
    long rest = flat;
    for (int d = shape.length - 1; d >= 0; d--) {
      index[d] = rest % shape[d];
      rest /= shape[d];
    }
    return index;
  }
}
