package io.chorale.format;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads GGUF's little-endian header values in file order. Every length is checked against what is
 * left of the file before memory is asked for, so a damaged length cannot exhaust the heap. One
 * thread, one use.
 */
final class GgufReader implements AutoCloseable {
  private static final int MAX_ARRAY_DEPTH = 4;

  /** Elements of an array or bytes of a string; a vocabulary has 10^5, a chat template 10^4. */
  private static final int MAX_LENGTH = 1 << 24;

  private final Path file;
  private final FileChannel channel;
  private final long size;
  private final ByteBuffer buffer = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);
  private long bufferEnd;

  GgufReader(Path file) throws IOException {
    this.file = file;
    this.channel = FileChannel.open(file, StandardOpenOption.READ);
    this.size = channel.size();
    buffer.limit(0);
  }

  long size() {
    return size;
  }

  long position() {
    return bufferEnd - buffer.remaining();
  }

  int i32(String what) throws IOException {
    need(Integer.BYTES, what);
    return buffer.getInt();
  }

  long i64(String what) throws IOException {
    need(Long.BYTES, what);
    return buffer.getLong();
  }

  String string(String what) throws IOException {
    long length = i64(what);
    byte[] bytes = new byte[(int) bounded(length, 1, what)];
    for (int done = 0; done < bytes.length; ) {
      need(1, what);
      int n = Math.min(buffer.remaining(), bytes.length - done);
      buffer.get(bytes, done, n);
      done += n;
    }
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /** {@code count} if so many things of at least {@code bytesEach} can still be in the file. */
  long bounded(long count, int bytesEach, String what) throws IOException {
    long left = size - position();
    if (count < 0 || count > left / bytesEach || count > MAX_LENGTH) {
      throw bad(
          "%s has a count of %d, wanted at most %d and what %d bytes left in the file can hold",
          what, count, MAX_LENGTH, left);
    }
    return count;
  }

  /**
   * All metadata: Boolean, Integer, Long, Float, Double, String, or an unmodifiable List of one.
   */
  Map<String, Object> metadata(long count) throws IOException {
    Map<String, Object> values = new LinkedHashMap<>();
    long keys = bounded(count, 12, "the metadata");
    for (long i = 0; i < keys; i++) {
      String key = string("metadata key " + i);
      Object value = value(i32("the type of " + key), key, 0);
      if (values.put(key, value) != null) {
        throw bad("metadata key '%s' is there twice", key);
      }
    }
    return Collections.unmodifiableMap(values);
  }

  private Object value(int type, String key, int depth) throws IOException {
    return switch (type) {
      case 0 -> byteOf(key) & 0xff;
      case 1 -> (int) byteOf(key);
      case 2 -> shortOf(key) & 0xffff;
      case 3 -> (int) shortOf(key);
      case 4 -> unsigned(i32(key));
      case 5 -> i32(key);
      case 6 -> Float.intBitsToFloat(i32(key));
      case 7 -> byteOf(key) != 0;
      case 8 -> string(key);
      case 9 -> array(key, depth);
      case 10, 11 -> i64(key);
      case 12 -> Double.longBitsToDouble(i64(key));
      default -> throw bad("metadata key '%s' has unknown value type %d", key, type);
    };
  }

  /** Integer where it fits, else Long. */
  private static Object unsigned(int value) {
    return value >= 0 ? (Object) value : (Object) (value & 0xffffffffL);
  }

  private Object array(String key, int depth) throws IOException {
    if (depth == MAX_ARRAY_DEPTH) {
      throw bad("metadata key '%s' nests arrays deeper than %d", key, MAX_ARRAY_DEPTH);
    }
    int type = i32(key);
    int bytesEach =
        switch (type) {
          case 0, 1, 7 -> 1;
          case 2, 3 -> 2;
          case 4, 5, 6 -> 4;
          case 8, 10, 11, 12 -> 8;
          case 9 -> 12;
          default -> throw bad("metadata key '%s' is an array of unknown type %d", key, type);
        };
    long count = bounded(i64(key), bytesEach, key);
    List<Object> values = new ArrayList<>();
    for (long i = 0; i < count; i++) {
      values.add(value(type, key, depth + 1));
    }
    return Collections.unmodifiableList(values);
  }

  private byte byteOf(String what) throws IOException {
    need(1, what);
    return buffer.get();
  }

  private short shortOf(String what) throws IOException {
    need(2, what);
    return buffer.getShort();
  }

  private void need(int bytes, String what) throws IOException {
    if (buffer.remaining() >= bytes) {
      return;
    }
    buffer.compact();
    while (buffer.position() < bytes) {
      int n = channel.read(buffer, bufferEnd);
      if (n < 0) {
        throw bad("ends at byte %d, inside %s", bufferEnd, what);
      }
      bufferEnd += n;
    }
    buffer.flip();
  }

  IOException bad(String format, Object... args) {
    return new IOException(file + ": " + format.formatted(args));
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
