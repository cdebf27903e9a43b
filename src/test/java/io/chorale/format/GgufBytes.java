package io.chorale.format;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes GGUF headers byte by byte, whole or deliberately wrong, for tests. */
final class GgufBytes {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  /** Magic, version and the two counts. */
  static GgufBytes start(int version, long tensors, long keys) {
    GgufBytes bytes = new GgufBytes();
    bytes.out.writeBytes("GGUF".getBytes(StandardCharsets.US_ASCII));
    return bytes.i32(version).i64(tensors).i64(keys);
  }

  GgufBytes i8(int value) {
    out.write(value);
    return this;
  }

  GgufBytes i16(int value) {
    return i8(value).i8(value >> 8);
  }

  GgufBytes i32(int value) {
    return i16(value).i16(value >> 16);
  }

  GgufBytes i64(long value) {
    return i32((int) value).i32((int) (value >> 32));
  }

  GgufBytes f64(double value) {
    return i64(Double.doubleToRawLongBits(value));
  }

  GgufBytes string(String value) {
    byte[] utf8 = value.getBytes(StandardCharsets.UTF_8);
    i64(utf8.length);
    out.writeBytes(utf8);
    return this;
  }

  /** Key and value type of a metadata entry. */
  GgufBytes key(String name, int type) {
    return string(name).i32(type);
  }

  /** One tensor's entry; dims innermost first, as in the file. */
  GgufBytes tensor(String name, int type, long offset, long... dims) {
    string(name).i32(dims.length);
    for (long d : dims) {
      i64(d);
    }
    return i32(type).i64(offset);
  }

  /** Pads to 32 bytes and adds float32 data. */
  GgufBytes data(float... values) {
    while (out.size() % 32 != 0) {
      i8(0);
    }
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    out.writeBytes(bytes.array());
    return this;
  }

  Path write(Path file) throws IOException {
    return Files.write(file, out.toByteArray());
  }
}
