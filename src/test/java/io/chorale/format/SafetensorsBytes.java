package io.chorale.format;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;

/** Writes safetensors files, whole or deliberately wrong, for tests. */
public final class SafetensorsBytes {
  private SafetensorsBytes() {}

  /** A file with the header's text and so many zero bytes of data. */
  static Path write(Path file, String header, int dataBytes) throws IOException {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(8 + json.length + dataBytes);
    out.order(ByteOrder.LITTLE_ENDIAN).putLong(json.length).put(json);
    return Files.write(file, out.array());
  }

  /** A whole file of float32 zeros with the tensors' shapes. */
  public static Path zeros(Path file, Map<String, long[]> shapes) throws IOException {
    long[] at = {0};
    String header =
        shapes.entrySet().stream()
            .map(
                e -> {
                  long start = at[0];
                  at[0] += 4 * Arrays.stream(e.getValue()).reduce(1, (a, b) -> a * b);
                  return "\"%s\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
                      .formatted(e.getKey(), Arrays.toString(e.getValue()), start, at[0]);
                })
            .collect(Collectors.joining(",", "{", "}"));
    return write(file, header, (int) at[0]);
  }
}
