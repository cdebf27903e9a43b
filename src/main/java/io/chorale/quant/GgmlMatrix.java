package io.chorale.quant;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A matrix in a GGUF block format or a plain float type; each row is whole blocks. The bytes are
 * shared, not copied, and often a view of a mapped file. Immutable; any thread.
 */
public final class GgmlMatrix implements PackedMatrix {
  private final TensorType type;
  private final int rows;
  private final int cols;
  private final ByteBuffer blocks;
  private final int rowBytes;

  /**
   * @param blocks little-endian blocks from position to limit, {@code rows * type.bytes(cols)}
   * @throws IllegalArgumentException if the bytes and the shape disagree or the type holds integers
   */
  public GgmlMatrix(TensorType type, int rows, int cols, ByteBuffer blocks) {
    if (!BlockDecoder.decodes(type)) {
      throw new IllegalArgumentException("a weight matrix of " + type + ", wanted a float type");
    }
    long wanted = rows * type.bytes(cols);
    if (rows < 1 || cols < 1 || wanted != blocks.remaining()) {
      throw new IllegalArgumentException(
          "%s matrix [%d, %d] takes %d bytes, had %d"
              .formatted(type, rows, cols, wanted, blocks.remaining()));
    }
    this.type = type;
    this.rows = rows;
    this.cols = cols;
    this.blocks = blocks.slice().asReadOnlyBuffer();
    this.rowBytes = (int) type.bytes(cols);
  }

  public TensorType type() {
    return type;
  }

  /** The stored bytes, read-only and little-endian, position 0 to limit; a fresh view each call. */
  public ByteBuffer blocks() {
    return blocks.duplicate().order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Bytes of one row. */
  public int rowBytes() {
    return rowBytes;
  }

  @Override
  public int rows() {
    return rows;
  }

  @Override
  public int cols() {
    return cols;
  }

  @Override
  public long bytes() {
    return blocks.limit();
  }

  @Override
  public String formatName() {
    return type.name();
  }

  @Override
  public void dequantizeRows(int from, int to, float[] out) {
    PackedMatrix.checkRows(this, from, to, out);
    BlockDecoder.decode(type, blocks, from * rowBytes, (to - from) * cols, out, 0);
  }

  /**
   * The same values with the rows in another order, moved as bytes and so never rounded.
   *
   * @param sourceRows for each row of the result, which row of this matrix it is
   */
  public GgmlMatrix permutedRows(int[] sourceRows) {
    byte[] moved = new byte[sourceRows.length * rowBytes];
    for (int r = 0; r < sourceRows.length; r++) {
      blocks.get(sourceRows[r] * rowBytes, moved, r * rowBytes, rowBytes);
    }
    return new GgmlMatrix(type, sourceRows.length, cols, ByteBuffer.wrap(moved));
  }

  /**
   * Rows {@code from .. to-1} with nibbles, scales and mins apart.
   *
   * @throws IllegalStateException unless the type is Q4_0 or Q4_1
   */
  public AffineBlocks affineRows(int from, int to) {
    if (type != TensorType.Q4_0 && type != TensorType.Q4_1) {
      throw new IllegalStateException(type + " is not made of 4-bit affine blocks of 32");
    }
    int count = Math.multiplyExact(to - from, cols);
    byte[] packed = new byte[(to - from) * rowBytes];
    blocks.get(from * rowBytes, packed);
    byte[] nibbles = new byte[count];
    float[] scales = new float[count / AffineBlocks.BLOCK];
    float[] mins = new float[scales.length];
    int header = type == TensorType.Q4_1 ? 4 : 2;
    for (int b = 0; b < scales.length; b++) {
      int p = b * type.blockBytes();
      scales[b] = BlockDecoder.half(packed, p);
      mins[b] = type == TensorType.Q4_1 ? BlockDecoder.half(packed, p + 2) : -8 * scales[b];
      for (int j = 0; j < 16; j++) {
        byte q = packed[p + header + j];
        nibbles[b * 32 + j] = (byte) (q & 15);
        nibbles[b * 32 + 16 + j] = (byte) (q >> 4 & 15);
      }
    }
    return new AffineBlocks(nibbles, scales, mins);
  }
}
