package io.chorale.quant;

/**
 * Element types of stored tensors, with their block layout: {@code blockElements} values take
 * {@code blockBytes} bytes. Names are GGUF's and safetensors'.
 */
public enum TensorType {
  F32(1, 4),
  F16(1, 2),
  BF16(1, 2),
  Q4_0(32, 18),
  Q4_1(32, 20),
  Q8_0(32, 34),
  Q4_K(256, 144),
  Q5_K(256, 176),
  Q6_K(256, 210),
  U8(1, 1),
  I8(1, 1),
  I16(1, 2),
  I32(1, 4),
  I64(1, 8),
  BOOL(1, 1);

  private final int blockElements;
  private final int blockBytes;

  TensorType(int blockElements, int blockBytes) {
    this.blockElements = blockElements;
    this.blockBytes = blockBytes;
  }

  public int blockElements() {
    return blockElements;
  }

  public int blockBytes() {
    return blockBytes;
  }

  /** Bytes of so many elements, which must fill whole blocks. */
  public long bytes(long elements) {
    if (elements % blockElements != 0) {
      throw new IllegalArgumentException(
          "%s stores blocks of %d, %d elements do not fill them"
              .formatted(this, blockElements, elements));
    }
    return elements / blockElements * blockBytes;
  }
}
