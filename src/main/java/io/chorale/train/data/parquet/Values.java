package io.chorale.train.data.parquet;

import java.nio.ByteBuffer;
import java.util.HexFormat;

/**
 * Decodes the values of a page that are there (nulls have none). Bytes stay as ByteBuffer views;
 * numbers become Integer, Long, Float, Double, truths Boolean.
 */
final class Values {
  private static final int PLAIN = 0;
  private static final int PLAIN_DICTIONARY = 2;
  private static final int RLE = 3;
  private static final int DELTA_BINARY_PACKED = 5;
  private static final int DELTA_LENGTH_BYTE_ARRAY = 6;
  private static final int DELTA_BYTE_ARRAY = 7;
  private static final int RLE_DICTIONARY = 8;

  private final Column column;

  Values(Column column) {
    this.column = column;
  }

  /**
   * @param in little-endian
   * @param dictionary null if the column has none
   */
  Object[] read(ByteBuffer in, int encoding, int count, Object[] dictionary) {
    return switch (encoding) {
      case PLAIN -> plain(in, count);
      case PLAIN_DICTIONARY, RLE_DICTIONARY -> looked(in, count, dictionary);
      case RLE -> truths(in, count);
      case DELTA_BINARY_PACKED -> numbers(in, count);
      case DELTA_LENGTH_BYTE_ARRAY -> pieces(in, lengths(in, count), count);
      case DELTA_BYTE_ARRAY -> prefixed(in, count);
      default ->
          throw new IllegalArgumentException(
              "column %s has encoding %d, which is not read; write the file with a common encoding"
                  .formatted(column.name(), encoding));
    };
  }

  private Object[] plain(ByteBuffer in, int count) {
    Object[] out = new Object[count];
    Hybrid.BitReader bits = new Hybrid.BitReader(in);
    for (int i = 0; i < count; i++) {
      out[i] =
          switch (column.type()) {
            case Column.BOOLEAN -> bits.next(1) == 1;
            case Column.INT32 -> in.getInt();
            case Column.INT64 -> in.getLong();
            case Column.INT96 -> hex(take(in, 12));
            case Column.FLOAT -> in.getFloat();
            case Column.DOUBLE -> in.getDouble();
            case Column.BYTE_ARRAY -> take(in, in.getInt());
            case Column.FIXED_LEN_BYTE_ARRAY -> hex(take(in, column.typeLength()));
            default -> throw new IllegalArgumentException("type " + column.type());
          };
    }
    return out;
  }

  private static ByteBuffer take(ByteBuffer in, int length) {
    if (length < 0 || length > in.remaining()) {
      throw new IllegalArgumentException(
          "a value of %d bytes where %d are left".formatted(length, in.remaining()));
    }
    ByteBuffer piece = in.slice(in.position(), length);
    in.position(in.position() + length);
    return piece;
  }

  private static String hex(ByteBuffer bytes) {
    byte[] copy = new byte[bytes.remaining()];
    bytes.get(copy);
    return HexFormat.of().formatHex(copy);
  }

  private Object[] looked(ByteBuffer in, int count, Object[] dictionary) {
    if (dictionary == null) {
      throw new IllegalArgumentException("column " + column.name() + " has no dictionary page");
    }
    Object[] out = new Object[count];
    int[] indices = count == 0 ? new int[0] : Hybrid.read(in, in.get(), count);
    for (int i = 0; i < count; i++) {
      out[i] = dictionary[indices[i]];
    }
    return out;
  }

  private static Object[] truths(ByteBuffer in, int count) {
    in.getInt(); // length
    int[] bits = Hybrid.read(in, 1, count);
    Object[] out = new Object[count];
    for (int i = 0; i < count; i++) {
      out[i] = bits[i] == 1;
    }
    return out;
  }

  private Object[] numbers(ByteBuffer in, int count) {
    long[] deltas = deltas(in, count);
    Object[] out = new Object[count];
    for (int i = 0; i < count; i++) {
      out[i] = column.type() == Column.INT32 ? (Object) (int) deltas[i] : (Object) deltas[i];
    }
    return out;
  }

  private static int[] lengths(ByteBuffer in, int count) {
    long[] deltas = deltas(in, count);
    int[] lengths = new int[count];
    for (int i = 0; i < count; i++) {
      lengths[i] = Math.toIntExact(deltas[i]);
    }
    return lengths;
  }

  private static Object[] pieces(ByteBuffer in, int[] lengths, int count) {
    Object[] out = new Object[count];
    for (int i = 0; i < count; i++) {
      out[i] = take(in, lengths[i]);
    }
    return out;
  }

  /** Each value shares a beginning with the one before it. */
  private static Object[] prefixed(ByteBuffer in, int count) {
    int[] shared = lengths(in, count);
    Object[] ends = pieces(in, lengths(in, count), count);
    byte[] before = {};
    for (int i = 0; i < count; i++) {
      ByteBuffer end = (ByteBuffer) ends[i];
      byte[] value = java.util.Arrays.copyOf(before, shared[i] + end.remaining());
      if (shared[i] > before.length) {
        throw new IllegalArgumentException("a shared beginning longer than the value before it");
      }
      end.get(value, shared[i], end.remaining());
      ends[i] = ByteBuffer.wrap(value);
      before = value;
    }
    return ends;
  }

  /** DELTA_BINARY_PACKED: blocks of miniblocks of differences above the block's least. */
  private static long[] deltas(ByteBuffer in, int wanted) {
    int blockValues = Math.toIntExact(ThriftStruct.varint(in));
    int miniblocks = Math.toIntExact(ThriftStruct.varint(in));
    int count = Math.toIntExact(ThriftStruct.varint(in));
    long last = ThriftStruct.zigzag(in);
    if (count != wanted || miniblocks < 1 || blockValues % miniblocks != 0) {
      throw new IllegalArgumentException(
          "%d differences in blocks of %d by %d, wanted %d"
              .formatted(count, blockValues, miniblocks, wanted));
    }
    long[] out = new long[count];
    int at = 0;
    if (count > 0) {
      out[at++] = last;
    }
    while (at < count) {
      long least = ThriftStruct.zigzag(in);
      byte[] widths = new byte[miniblocks];
      in.get(widths);
      for (int m = 0; m < miniblocks && at < count; m++) {
        Hybrid.BitReader bits = new Hybrid.BitReader(in);
        for (int i = 0; i < blockValues / miniblocks; i++) {
          long delta = least + bits.next(widths[m]);
          if (at < count) {
            last += delta;
            out[at++] = last;
          }
        }
      }
    }
    return out;
  }
}
