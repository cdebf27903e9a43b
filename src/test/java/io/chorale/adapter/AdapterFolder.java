package io.chorale.adapter;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.chorale.model.Family;
import io.chorale.model.ModelSpec;
import io.chorale.model.RopeSpec;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * A PEFT folder in the making: a good adapter of rank 2 on q_proj and v_proj of {@link #SPEC}, to
 * be spoilt in one place by a test.
 */
public final class AdapterFolder {
  public static final String FINGERPRINT = "f".repeat(64);
  public static final String Q0 = "base_model.model.model.layers.0.self_attn.q_proj";

  /** Two layers; widths 8 (hidden, q), 4 (k, v), 12 (MLP), 10 (vocabulary). */
  public static final ModelSpec SPEC = spec(false);

  private static final ObjectMapper JSON = new ObjectMapper();

  private record Tensor(String dtype, long[] shape, byte[] bytes) {}

  private final ObjectNode config = JSON.createObjectNode();
  private final Map<String, Tensor> tensors = new TreeMap<>();

  public AdapterFolder() {
    config.put("peft_type", "LORA").put("r", 2).put("lora_alpha", 4);
    config.putArray("target_modules").add("q_proj").add("v_proj");
    for (int layer = 0; layer < 2; layer++) {
      String attention = "base_model.model.model.layers." + layer + ".self_attn.";
      f32(attention + "q_proj.lora_A.weight", 2, 8).f32(attention + "q_proj.lora_B.weight", 8, 2);
      f32(attention + "v_proj.lora_A.weight", 2, 8).f32(attention + "v_proj.lora_B.weight", 4, 2);
    }
  }

  public static ModelSpec spec(boolean tied) {
    return new ModelSpec(
        "tiny",
        Family.LLAMA,
        2,
        8,
        12,
        2,
        1,
        4,
        10,
        64,
        1e-5f,
        RopeSpec.plain(10000),
        false,
        false,
        false,
        false,
        0,
        tied,
        Set.of(1));
  }

  /** A loader for {@link #SPEC}. */
  public static AdapterLoader loader() {
    return new AdapterLoader(SPEC, FINGERPRINT, AdapterLoader.DEFAULT_MAX_BYTES);
  }

  /** Sets a config key to a JSON value. */
  public AdapterFolder with(String key, String json) {
    try {
      config.set(key, JSON.readTree(json));
      return this;
    } catch (IOException e) {
      throw new IllegalArgumentException(json, e);
    }
  }

  public AdapterFolder drop(String tensor) {
    if (tensors.remove(tensor) == null) {
      throw new IllegalArgumentException(tensor);
    }
    return this;
  }

  public AdapterFolder dropAll() {
    tensors.clear();
    return this;
  }

  public AdapterFolder rename(String from, String to) {
    tensors.put(to, tensors.remove(from));
    return this;
  }

  /** All values are filled with small numbers that differ by position. */
  public AdapterFolder f32(String name, long... shape) {
    return filled(name, 0.01f, shape);
  }

  /** Values {@code step * index}. */
  public AdapterFolder filled(String name, float step, long... shape) {
    int n = 1;
    for (long d : shape) {
      n *= (int) d;
    }
    ByteBuffer bytes = ByteBuffer.allocate(4 * n).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < n; i++) {
      bytes.putFloat(step * i);
    }
    return raw(name, "F32", bytes.array(), shape);
  }

  public AdapterFolder raw(String name, String dtype, byte[] bytes, long... shape) {
    tensors.put(name, new Tensor(dtype, shape, bytes));
    return this;
  }

  public AdapterFolder set(String name, int index, float value) {
    ByteBuffer.wrap(tensors.get(name).bytes())
        .order(ByteOrder.LITTLE_ENDIAN)
        .putFloat(4 * index, value);
    return this;
  }

  public Path write(Path folder) {
    try {
      Files.createDirectories(folder);
      Files.writeString(folder.resolve("adapter_config.json"), config.toPrettyString());
      Files.write(folder.resolve("adapter_model.safetensors"), safetensors());
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private byte[] safetensors() throws IOException {
    ObjectNode header = JSON.createObjectNode();
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
      Tensor tensor = entry.getValue();
      ObjectNode node = header.putObject(entry.getKey()).put("dtype", tensor.dtype());
      List<Long> shape = new ArrayList<>();
      for (long d : tensor.shape()) {
        shape.add(d);
      }
      node.set("shape", JSON.valueToTree(shape));
      node.putArray("data_offsets").add(data.size()).add(data.size() + tensor.bytes().length);
      data.write(tensor.bytes());
    }
    byte[] head = header.toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer file =
        ByteBuffer.allocate(8 + head.length + data.size()).order(ByteOrder.LITTLE_ENDIAN);
    return file.putLong(head.length).put(head).put(data.toByteArray()).array();
  }
}
