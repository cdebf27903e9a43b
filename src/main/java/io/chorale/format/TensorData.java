package io.chorale.format;

import io.chorale.quant.BlockDecoder;
import io.chorale.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * One stored tensor.
 *
 * @param shape row-major, outermost dimension first (GGUF's order is turned round by the reader)
 * @param bytes little-endian, position 0 to limit; often a view of a mapped file
 */
public record TensorData(String name, TensorType type, long[] shape, ByteBuffer bytes) {

  public long elements() {
    long n = 1;
    for (long d : shape) {
      n *= d;
    }
    return n;
  }

  /**
   * All elements as float32, row-major.
   *
   * @throws IllegalArgumentException if the type holds integers or the bytes do not fill the shape
   */
  public float[] toFloats() {
    long wanted = type.bytes(elements());
    if (elements() > Integer.MAX_VALUE - 8 || wanted != bytes.remaining()) {
      throw new IllegalArgumentException(
          "tensor '%s' %s %s takes %d bytes, had %d"
              .formatted(name, type, Arrays.toString(shape), wanted, bytes.remaining()));
    }
    float[] out = new float[(int) elements()];
    BlockDecoder.decode(type, bytes, bytes.position(), out.length, out, 0);
    return out;
  }

  /** The same tensor in memory of its own, so that the file it came from may close or change. */
  public TensorData copyToHeap() {
    byte[] copy = new byte[bytes.remaining()];
    bytes.get(bytes.position(), copy);
    ByteBuffer heap = ByteBuffer.wrap(copy).order(ByteOrder.LITTLE_ENDIAN);
    return new TensorData(name, type, shape.clone(), heap);
  }
}
