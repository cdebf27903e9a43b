package io.chorale.train.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.format.SafetensorsFiles;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import org.bytedeco.pytorch.Tensor;

/** What PEFT's autograd gave on the tiny models (golden/train/README.md). */
final class GoldenTraining {
  static final Path GOLDEN = Path.of("src/test/resources/golden");
  private static final ObjectMapper JSON = new ObjectMapper();

  private final JsonNode all;

  private GoldenTraining(JsonNode all) {
    this.all = all;
  }

  static GoldenTraining read() {
    try {
      return new GoldenTraining(JSON.readTree(GOLDEN.resolve("train/cases.json").toFile()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** One adapter on one base. */
  record Case(String name, Path base, AdapterSpec spec, double loss, Map<String, float[]> tensors) {
    BaseModelFiles files() throws IOException {
      return BaseModelFiles.open(base, Quantization.NONE);
    }

    /** The same values and base, trained otherwise. */
    Case with(AdapterSpec other) {
      return new Case(name, base, other, loss, tensors);
    }

    TrainableCausalLm open(Compute compute) throws IOException {
      try (BaseModelFiles files = files()) {
        TrainableCausalLm model = TrainableCausalLm.open(files, spec, compute, 1);
        model.parameters().forEach(this::set);
        return model;
      }
    }

    private void set(Parameter parameter) {
      try (Scope scope = Scope.open()) {
        float[] value = tensors.get("value." + parameter.key());
        float[] left = tensors.get("outer." + parameter.key() + ".0");
        if (value != null) {
          parameter.value().copy_(TorchDevice.CPU.floats(value, parameter.shape()));
        } else if (left != null) {
          float[] right = tensors.get("outer." + parameter.key() + ".1");
          float[] added = new float[left.length * right.length];
          for (int i = 0; i < added.length; i++) {
            added[i] = 0.02f * (left[i / right.length] * right[i % right.length]);
          }
          parameter.value().add_(TorchDevice.CPU.floats(added, parameter.shape()));
        }
      }
    }
  }

  /** The golden sequences as one packed batch. */
  PackedBatch packed() {
    return pack(0, 1, 2);
  }

  /** Some of the golden sequences, packed. */
  PackedBatch pack(int... sequences) {
    List<Integer> ids = new ArrayList<>();
    List<Integer> targets = new ArrayList<>();
    int[] starts = new int[sequences.length + 1];
    for (int s = 0; s < sequences.length; s++) {
      JsonNode sequence = all.get("sequences").get(sequences[s]);
      sequence.get("ids").forEach(id -> ids.add(id.asInt()));
      sequence.get("targets").forEach(target -> targets.add(target.asInt()));
      starts[s + 1] = ids.size();
    }
    return new PackedBatch(array(ids), array(targets), starts, sequences.clone());
  }

  private static int[] array(List<Integer> values) {
    return values.stream().mapToInt(Integer::intValue).toArray();
  }

  Case named(String name) throws IOException {
    for (JsonNode one : all.get("cases")) {
      if (one.get("name").asText().equals(name)) {
        double loss = 0;
        for (JsonNode each : one.get("losses")) {
          loss += each.asDouble();
        }
        Path base = GOLDEN.resolve("models").resolve(one.get("base").asText());
        return new Case(name, base, spec(one.get("adapter")), loss, tensors("train", name));
      }
    }
    throw new IllegalArgumentException("no golden case " + name);
  }

  /** The same adapter, with its divergence from the base as loss and that one's gradients. */
  Case retained(String name) throws IOException {
    Case one = named(name);
    double sum = 0;
    for (JsonNode each : JSON.readTree(GOLDEN.resolve("train/retain.json").toFile()).get(name)) {
      sum += each.asDouble();
    }
    Map<String, float[]> tensors = new LinkedHashMap<>(one.tensors());
    tensors.putAll(tensors("train", "retain-" + name));
    return new Case(name, one.base(), one.spec(), sum, tensors);
  }

  private static AdapterSpec spec(JsonNode adapter) {
    if (adapter.isNull()) {
      return new AdapterSpec(
          TrainMethod.FULL, 1, 1, 0, List.of("all-linear"), Map.of(), Map.of(), List.of());
    }
    TrainMethod method =
        adapter.path("use_dora").asBoolean()
            ? TrainMethod.DORA
            : adapter.path("use_rslora").asBoolean() ? TrainMethod.RSLORA : TrainMethod.LORA;
    Map<String, Integer> ranks = new LinkedHashMap<>();
    adapter
        .path("rank_pattern")
        .fields()
        .forEachRemaining(e -> ranks.put(e.getKey(), e.getValue().asInt()));
    Map<String, Float> alphas = new LinkedHashMap<>();
    adapter
        .path("alpha_pattern")
        .fields()
        .forEachRemaining(e -> alphas.put(e.getKey(), (float) e.getValue().asDouble()));
    return new AdapterSpec(
        method,
        adapter.get("r").asInt(),
        (float) adapter.get("lora_alpha").asDouble(),
        (float) adapter.path("lora_dropout").asDouble(),
        strings(adapter.get("target_modules")),
        ranks,
        alphas,
        strings(adapter.path("modules_to_save")));
  }

  private static List<String> strings(JsonNode node) {
    if (node.isTextual()) {
      return List.of(node.asText());
    }
    List<String> out = new ArrayList<>();
    node.forEach(each -> out.add(each.asText()));
    return out;
  }

  static Map<String, float[]> tensors(String topic, String name) throws IOException {
    Path plain = Files.createTempFile("golden", ".safetensors");
    try {
      Path packed = GOLDEN.resolve(topic).resolve(name + ".safetensors.gz");
      try (InputStream in = new GZIPInputStream(Files.newInputStream(packed))) {
        Files.write(plain, in.readAllBytes());
      }
      Map<String, float[]> tensors = new LinkedHashMap<>();
      try (SafetensorsFiles file = SafetensorsFiles.open(plain)) {
        file.names().forEach(key -> tensors.put(key, file.tensor(key).toFloats()));
      }
      return tensors;
    } finally {
      Files.delete(plain);
    }
  }

  /** A tensor's values on the host. */
  static float[] host(Tensor tensor) {
    float[] out = new float[(int) tensor.numel()];
    TorchDevice.CPU.read(tensor, out, 0, out.length);
    return out;
  }

  /** Every gradient by its key. */
  static Map<String, float[]> gradients(TrainableCausalLm model) {
    Map<String, float[]> out = new LinkedHashMap<>();
    model.parameters().forEach(p -> out.put(p.key(), host(p.grad())));
    return out;
  }

  /** {@code |a - b| / |b|}, Euclidean. */
  static double relative(float[] a, float[] b) {
    if (a.length != b.length) {
      throw new AssertionError(a.length + " values, wanted " + b.length);
    }
    double difference = 0;
    double size = 0;
    for (int i = 0; i < a.length; i++) {
      difference += Math.pow((double) a[i] - b[i], 2);
      size += (double) b[i] * b[i];
    }
    return Math.sqrt(difference / Math.max(size, 1e-30));
  }

  static Compute f32() {
    return new Compute(TorchDevice.CPU, ComputeType.F32, false, 4, 1);
  }

  /** Every 6th row of a matrix. */
  static float[] everySixthRow(float[] matrix, int cols) {
    int rows = matrix.length / cols;
    float[] out = new float[(rows + 5) / 6 * cols];
    for (int r = 0; r < rows; r += 6) {
      System.arraycopy(matrix, r * cols, out, r / 6 * cols, cols);
    }
    return out;
  }

  /** The sum of every other row; of all rows a head's gradient adds up to nothing. */
  static float[] sumOfEveryOtherRow(float[] matrix, int cols) {
    double[] sums = new double[cols];
    for (int i = 0; i < matrix.length; i++) {
      sums[i % cols] += i / cols % 2 == 0 ? matrix[i] : 0;
    }
    float[] out = new float[cols];
    for (int i = 0; i < cols; i++) {
      out[i] = (float) sums[i];
    }
    return out;
  }
}
