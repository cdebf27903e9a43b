package io.chorale.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Reads a weight that bitsandbytes quantized to NF4 and transformers saved: {@code X} holds the
 * packed bytes, {@code X.absmax} the scales, {@code X.quant_state.bitsandbytes__nf4} JSON with the
 * shape, and with double quantization {@code X.nested_absmax} and {@code X.nested_quant_map}. Any
 * thread.
 *
 * <p>Source: bitsandbytes functional.py, QuantState.as_dict.
 */
public final class BitsAndBytesNf4 {
  private static final String STATE = ".quant_state.bitsandbytes__";

  private BitsAndBytesNf4() {}

  /**
   * Whether {@code weight} is stored this way.
   *
   * @throws IllegalArgumentException if it is stored in bitsandbytes' other 4-bit type, fp4
   */
  public static boolean isPacked(TensorSource source, String weight) {
    if (source.names().contains(weight + STATE + "fp4")) {
      throw new IllegalArgumentException(
          "tensor '%s' is in bitsandbytes' fp4; only nf4 is read, quantize the model again with it"
              .formatted(weight));
    }
    return source.names().contains(weight + STATE + "nf4");
  }

  /**
   * The matrix, with its bytes viewed in place.
   *
   * @throws IllegalArgumentException naming the tensor if a part is missing or unlike what the
   *     state says
   */
  public static Nf4Matrix read(TensorSource source, String weight) {
    JsonNode state = state(source, weight);
    JsonNode shape = state.path("shape");
    if (shape.size() != 2 || !shape.path(0).canConvertToInt() || !shape.path(1).canConvertToInt()) {
      throw bad(weight, "shape " + shape + ", wanted two dimensions");
    }
    if (state.path("blocksize").asInt() != Nf4Matrix.BLOCK_SIZE) {
      throw bad(weight, "blocksize " + state.path("blocksize") + ", wanted 64");
    }
    checkMap(source.tensor(weight + ".quant_map"));
    ByteBuffer packed = source.tensor(weight).bytes();
    TensorData absmax = source.tensor(weight + ".absmax");
    int rows = shape.get(0).asInt();
    int cols = shape.get(1).asInt();
    try {
      if (absmax.type() != TensorType.U8) {
        return Nf4Matrix.of(rows, cols, packed, absmax.toFloats());
      }
      if (state.path("nested_blocksize").asInt() != Nf4Matrix.DoubleQuant.BLOCK_SIZE) {
        throw bad(weight, "nested_blocksize " + state.path("nested_blocksize") + ", wanted 256");
      }
      byte[] codes = new byte[absmax.bytes().remaining()];
      absmax.bytes().get(absmax.bytes().position(), codes);
      return Nf4Matrix.of(
          rows,
          cols,
          packed,
          new Nf4Matrix.DoubleQuant(
              codes,
              source.tensor(weight + ".nested_absmax").toFloats(),
              source.tensor(weight + ".nested_quant_map").toFloats(),
              (float) state.path("nested_offset").asDouble()));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("tensor '%s': %s".formatted(weight, e.getMessage()), e);
    }
  }

  private static JsonNode state(TensorSource source, String weight) {
    ByteBuffer bytes = source.tensor(weight + STATE + "nf4").bytes();
    byte[] json = new byte[bytes.remaining()];
    bytes.get(bytes.position(), json);
    try {
      return new ObjectMapper().readTree(new String(json, StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw bad(weight, "quant_state that is no JSON: " + e.getMessage());
    }
  }

  private static void checkMap(TensorData map) {
    float[] had = map.toFloats();
    float[] wanted = Nf4Matrix.code();
    boolean same = had.length == wanted.length;
    for (int i = 0; same && i < wanted.length; i++) {
      same = Math.abs(had[i] - wanted[i]) < 1e-6f;
    }
    if (!same) {
      throw bad(map.name(), "values " + Arrays.toString(had) + ", wanted NF4's sixteen");
    }
  }

  private static IllegalArgumentException bad(String name, String problem) {
    return new IllegalArgumentException("tensor '%s' has %s".formatted(name, problem));
  }
}
