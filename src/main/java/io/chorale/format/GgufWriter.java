package io.chorale.format;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * Starts GGUF files: version 3, little-endian, alignment 32. Metadata values are those of {@link
 * GgufFile#metadata}: a Boolean, String, Float or Double keeps its kind; an Integer is written as
 * uint32, or int32 if negative, a Long as uint32 where that holds it, else int64; Integers in a
 * list are int32. These are the kinds that llama.cpp asks for under every key of a language model.
 * Any thread.
 *
 * <p>Source: ggml's docs/gguf.md.
 */
public final class GgufWriter {
  private static final int ALIGNMENT = 32;
  private static final int MAGIC = 0x46554747; // "GGUF"

  private static final int UINT32 = 4;
  private static final int INT32 = 5;
  private static final int FLOAT32 = 6;
  private static final int BOOL = 7;
  private static final int STRING = 8;
  private static final int ARRAY = 9;
  private static final int INT64 = 11;
  private static final int FLOAT64 = 12;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  private GgufWriter() {}

  /**
   * Writes header and metadata; the tensors' bytes follow through {@link TensorFileOutput#append}.
   *
   * @param file must not exist
   * @throws IllegalArgumentException for a type that GGUF does not have, or a value of another kind
   */
  public static TensorFileOutput create(
      Path file, Map<String, Object> metadata, List<TensorFileOutput.Entry> entries)
      throws IOException {
    GgufWriter writer = new GgufWriter();
    writer.i32(MAGIC).i32(3).i64(entries.size()).i64(metadata.size());
    metadata.forEach(
        (key, value) -> {
          writer.string(key);
          writer.i32(kind(key, value, false)).value(value);
        });
    long at = 0;
    for (TensorFileOutput.Entry entry : entries) {
      writer.string(entry.name()).i32(entry.shape().length);
      for (int d = entry.shape().length - 1; d >= 0; d--) {
        writer.i64(entry.shape()[d]);
      }
      writer.i32(GgufTypes.idOf(entry.type())).i64(at);
      at += TensorFileOutput.padded(entry.bytes(), ALIGNMENT);
    }
    int length = writer.out.size();
    writer.out.write(new byte[(int) (TensorFileOutput.padded(length, ALIGNMENT) - length)]);
    return TensorFileOutput.start(file, writer.out.toByteArray(), entries, ALIGNMENT);
  }

  private static int kind(String key, Object value, boolean inList) {
    if (value instanceof Boolean) {
      return BOOL;
    } else if (value instanceof String) {
      return STRING;
    } else if (value instanceof Float) {
      return FLOAT32;
    } else if (value instanceof Double) {
      return FLOAT64;
    } else if (value instanceof Integer i) {
      return inList || i < 0 ? INT32 : UINT32;
    } else if (value instanceof Long l) {
      return !inList && l >= 0 && l < 1L << 32 ? UINT32 : INT64;
    } else if (value instanceof List<?> && !inList) {
      return ARRAY;
    }
    throw new IllegalArgumentException(
        "metadata '%s' is %s, wanted a value that GGUF holds"
            .formatted(key, value == null ? "null" : value.getClass().getSimpleName()));
  }

  private void value(Object value) {
    if (value instanceof Boolean b) {
      out.write(b ? 1 : 0);
    } else if (value instanceof String s) {
      string(s);
    } else if (value instanceof Float f) {
      i32(Float.floatToRawIntBits(f));
    } else if (value instanceof Double d) {
      i64(Double.doubleToRawLongBits(d));
    } else if (value instanceof Integer i) {
      i32(i);
    } else if (value instanceof Long l) {
      scalar(l);
    } else if (value instanceof List<?> list) {
      list(list);
    }
  }

  private void scalar(long value) {
    if (value >= 0 && value < 1L << 32) {
      i32((int) value);
    } else {
      i64(value);
    }
  }

  private void list(List<?> list) {
    int kind = list.isEmpty() ? STRING : kind("an array", list.get(0), true);
    i32(kind).i64(list.size());
    for (Object element : list) {
      if (kind("an array", element, true) != kind) {
        throw new IllegalArgumentException("a metadata array has elements of several kinds");
      }
      if (element instanceof Long l) {
        i64(l);
      } else {
        value(element);
      }
    }
  }

  private GgufWriter string(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    i64(utf8.length);
    out.write(utf8, 0, utf8.length);
    return this;
  }

  private GgufWriter i32(int value) {
    byte[] bytes = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array();
    out.write(bytes, 0, 4);
    return this;
  }

  private GgufWriter i64(long value) {
    byte[] bytes = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
    out.write(bytes, 0, 8);
    return this;
  }
}
