package io.chorale.train.data.parquet;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A struct of Thrift's compact protocol by field id, without a schema: numbers are Long or Double,
 * binaries ByteBuffer, lists List, structs ThriftStruct. Immutable.
 */
record ThriftStruct(Map<Integer, Object> fields) {
  private static final int MAX_DEPTH = 64;

  /**
   * Reads one, leaving the buffer behind it.
   *
   * @throws IllegalArgumentException or BufferUnderflowException if the bytes are none
   */
  static ThriftStruct read(ByteBuffer in) {
    return read(in, 0);
  }

  private static ThriftStruct read(ByteBuffer in, int depth) {
    if (depth > MAX_DEPTH) {
      throw new IllegalArgumentException("structs nest deeper than " + MAX_DEPTH);
    }
    Map<Integer, Object> fields = new HashMap<>();
    int id = 0;
    while (true) {
      int header = in.get() & 0xff;
      if (header == 0) {
        return new ThriftStruct(fields);
      }
      int delta = header >> 4;
      id = delta == 0 ? (int) zigzag(in) : id + delta;
      int type = header & 15;
      fields.put(id, type == 1 ? Boolean.TRUE : type == 2 ? Boolean.FALSE : value(in, type, depth));
    }
  }

  private static Object value(ByteBuffer in, int type, int depth) {
    return switch (type) {
      case 1, 2 -> in.get() == 1; // inside a list
      case 3 -> (long) in.get();
      case 4, 5, 6 -> zigzag(in);
      case 7 -> Double.longBitsToDouble(Long.reverseBytes(in.getLong()));
      case 8 -> binary(in);
      case 9, 10 -> list(in, depth);
      case 11 -> map(in, depth);
      case 12 -> read(in, depth + 1);
      default -> throw new IllegalArgumentException("type " + type + " is none of Thrift's");
    };
  }

  private static ByteBuffer binary(ByteBuffer in) {
    int length = length(in);
    ByteBuffer bytes = in.slice(in.position(), length);
    in.position(in.position() + length);
    return bytes;
  }

  private static List<Object> list(ByteBuffer in, int depth) {
    int header = in.get() & 0xff;
    int size = header >> 4 == 15 ? length(in) : header >> 4;
    List<Object> list = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      list.add(value(in, header & 15, depth));
    }
    return list;
  }

  private static Map<Object, Object> map(ByteBuffer in, int depth) {
    int size = length(in);
    Map<Object, Object> map = new HashMap<>();
    int types = size == 0 ? 0 : in.get() & 0xff;
    for (int i = 0; i < size; i++) {
      Object key = value(in, types >> 4, depth);
      map.put(key, value(in, types & 15, depth));
    }
    return map;
  }

  private static int length(ByteBuffer in) {
    long length = varint(in);
    if (length < 0 || length > in.remaining()) {
      throw new IllegalArgumentException(
          "a length of %d where %d bytes are left".formatted(length, in.remaining()));
    }
    return (int) length;
  }

  /** Unsigned, seven bits a byte, lowest first. */
  static long varint(ByteBuffer in) {
    long value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      byte b = in.get();
      value |= (long) (b & 0x7f) << shift;
      if (b >= 0) {
        return value;
      }
    }
    throw new IllegalArgumentException("a varint of more than ten bytes");
  }

  static long zigzag(ByteBuffer in) {
    long raw = varint(in);
    return (raw >>> 1) ^ -(raw & 1);
  }

  boolean has(int id) {
    return fields.containsKey(id);
  }

  long number(int id, long absent) {
    return fields.get(id) instanceof Long number ? number : absent;
  }

  boolean flag(int id, boolean absent) {
    return fields.get(id) instanceof Boolean flag ? flag : absent;
  }

  String text(int id) {
    return fields.get(id) instanceof ByteBuffer bytes
        ? StandardCharsets.UTF_8.decode(bytes.duplicate()).toString()
        : "";
  }

  Optional<ThriftStruct> struct(int id) {
    return fields.get(id) instanceof ThriftStruct struct ? Optional.of(struct) : Optional.empty();
  }

  List<ThriftStruct> structs(int id) {
    List<ThriftStruct> structs = new ArrayList<>();
    if (fields.get(id) instanceof List<?> list) {
      list.forEach(item -> structs.add((ThriftStruct) item));
    }
    return structs;
  }
}
