package io.chorale.format;

import io.chorale.quant.TensorType;
import java.nio.ByteBuffer;

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
}
