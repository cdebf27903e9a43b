package io.chorale.format;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * Starts safetensors files: eight bytes of header length, the JSON header padded with spaces to a
 * multiple of eight, the tensors in the order given without gaps. Any thread.
 *
 * <p>Source: the safetensors format description, huggingface/safetensors README.
 */
public final class SafetensorsWriter {
  private SafetensorsWriter() {}

  /**
   * Writes the header; the tensors' bytes follow through {@link TensorFileOutput#append}.
   *
   * @param file must not exist
   * @param metadata strings for {@code __metadata__}; transformers wants {@code format=pt}
   * @throws IllegalArgumentException for a type that safetensors does not have
   */
  public static TensorFileOutput create(
      Path file, Map<String, String> metadata, List<TensorFileOutput.Entry> entries)
      throws IOException {
    ObjectNode header = new ObjectMapper().createObjectNode();
    ObjectNode meta = header.putObject("__metadata__");
    metadata.forEach(meta::put);
    long at = 0;
    for (TensorFileOutput.Entry entry : entries) {
      ObjectNode node = header.putObject(entry.name()).put("dtype", dtype(entry));
      var shape = node.putArray("shape");
      for (long d : entry.shape()) {
        shape.add(d);
      }
      node.putArray("data_offsets").add(at).add(at + entry.bytes());
      at += entry.bytes();
    }
    byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
    int length = (int) TensorFileOutput.padded(json.length, 8);
    ByteBuffer head = ByteBuffer.allocate(8 + length).order(ByteOrder.LITTLE_ENDIAN);
    head.putLong(length).put(json);
    while (head.hasRemaining()) {
      head.put((byte) ' ');
    }
    return TensorFileOutput.start(file, head.array(), entries, 1);
  }

  private static String dtype(TensorFileOutput.Entry entry) {
    return switch (entry.type()) {
      case F32, F16, BF16, U8, I8, I16, I32, I64, BOOL -> entry.type().name();
      case Q4_0, Q4_1, Q8_0, Q4_K, Q5_K, Q6_K ->
          throw new IllegalArgumentException(entry + ": safetensors has no GGUF block types");
    };
  }
}
