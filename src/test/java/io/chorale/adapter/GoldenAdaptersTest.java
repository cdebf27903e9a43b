package io.chorale.adapter;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.format.SafetensorsFiles;
import io.chorale.format.TensorData;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every adapter that PEFT saved, against the ranks, scalings and tensors that PEFT itself has. */
class GoldenAdaptersTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden/adapters");
  private static final Path MODELS = Path.of("src/test/resources/golden/models");

  private static AdapterLoader.Loaded load(JsonNode golden) throws IOException {
    String name = golden.get("name").asText();
    Path base = MODELS.resolve(golden.get("base").asText());
    try (BaseModelFiles files = BaseModelFiles.open(base, Quantization.NONE)) {
      return new AdapterLoader(files.spec(), files.fingerprint(), AdapterLoader.DEFAULT_MAX_BYTES)
          .load(new AdapterRef(name, 1), GOLDEN.resolve(name));
    }
  }

  private static Stream<JsonNode> all() throws IOException {
    JsonNode cases = new ObjectMapper().readTree(GOLDEN.resolve("cases.json").toFile());
    return StreamSupport.stream(cases.spliterator(), false);
  }

  static Stream<JsonNode> peft() throws IOException {
    return all().filter(c -> c.has("modules"));
  }

  static Stream<JsonNode> gguf() throws IOException {
    return all().filter(c -> c.has("same_as"));
  }

  private static String key(ModuleId id) {
    return id.target() == LoraTarget.LM_HEAD ? "lm_head" : "model." + id;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("peft")
  void everyModuleHasTheRankAndScalingThatPeftResolved(JsonNode golden) throws IOException {
    // Given
    Map<String, String> wanted = new TreeMap<>();
    golden
        .get("modules")
        .properties()
        .forEach(
            m ->
                wanted.put(
                    m.getKey(),
                    m.getValue().get("rank").asInt()
                        + " "
                        + (float) m.getValue().get("scaling").asDouble()));
    golden.get("replaced").forEach(m -> wanted.put(m.asText(), "0 1.0"));
    // When
    AdapterLoader.Loaded loaded = load(golden);
    // Then
    Map<String, String> had = new TreeMap<>();
    loaded
        .weights()
        .modules()
        .forEach((id, module) -> had.put(key(id), module.rank() + " " + module.scaling()));
    assertEquals(wanted, had);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("peft")
  void everyTensorIsTheFilesOwnBytes(JsonNode golden) throws IOException {
    // Given
    Path file = GOLDEN.resolve(golden.get("name").asText()).resolve("adapter_model.safetensors");
    Set<String> used = new TreeSet<>();
    // When
    AdapterLoader.Loaded loaded = load(golden);
    // Then
    try (SafetensorsFiles tensors = SafetensorsFiles.open(file)) {
      for (LoraModule module : loaded.weights().modules().values()) {
        for (TensorData tensor :
            Arrays.asList(
                module.a(), module.b(), module.bias(), module.magnitude(), module.replacement())) {
          if (tensor != null) {
            TensorData stored = tensors.tensor(tensor.name());
            assertEquals(stored.type(), tensor.type());
            assertEquals(stored.bytes(), tensor.bytes());
            used.add(tensor.name());
          }
        }
      }
      Set<String> inFile = new TreeSet<>(tensors.names());
      inFile.removeIf(name -> name.endsWith(".base_layer.weight"));
      assertEquals(inFile, used);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("gguf")
  void ggufAdapterHasTheTensorsOfItsPeftTwin(JsonNode golden) throws IOException {
    // Given
    JsonNode twin =
        peft().filter(c -> c.get("name").equals(golden.get("same_as"))).findFirst().orElseThrow();
    Map<ModuleId, LoraModule> wanted = load(twin).weights().modules();
    // When
    Map<ModuleId, LoraModule> had = load(golden).weights().modules();
    // Then
    assertEquals(wanted.keySet(), had.keySet());
    wanted.forEach(
        (id, module) ->
            assertAll(
                id.toString(),
                () -> assertEquals(module.scaling(), had.get(id).scaling()),
                () -> assertEquals(module.a().bytes(), had.get(id).a().bytes()),
                () -> assertEquals(module.b().bytes(), had.get(id).b().bytes())));
  }

  @Test
  void methodRankAndTargetsAreReported() throws IOException {
    // Given
    JsonNode golden =
        peft().filter(c -> c.get("name").asText().equals("dora-rslora")).findFirst().orElseThrow();
    // When
    AdapterLoader.Loaded loaded = load(golden);
    // Then
    assertEquals("dora", loaded.method());
    assertEquals(9, loaded.rank());
    assertEquals(
        "[q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]",
        loaded.targetModules().toString());
  }

  @Test
  void embeddingOfATiedBaseLeavesTheHeadAlone() throws IOException {
    // Given
    JsonNode golden =
        peft()
            .filter(c -> c.get("name").asText().equals("tied-modules-to-save"))
            .findFirst()
            .orElseThrow();
    // When
    Map<ModuleId, LoraModule> modules = load(golden).weights().modules();
    // Then
    assertEquals(
        TensorType.F32, modules.get(ModuleId.of(LoraTarget.EMBED_TOKENS)).replacement().type());
    assertNull(modules.get(ModuleId.of(LoraTarget.LM_HEAD)));
  }
}
