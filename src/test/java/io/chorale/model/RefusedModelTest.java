package io.chorale.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.chorale.format.GoldenFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Changes one thing of a golden model and reads what the refusal says. */
class RefusedModelTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path dir;

  /** Copies a golden folder with one field of config.json replaced (null removes it). */
  private Path changed(String model, String field, String value) throws IOException {
    Path source = GoldenFiles.path("models/" + model);
    for (String name : new String[] {"model.safetensors", "generation_config.json"}) {
      Files.copy(source.resolve(name), dir.resolve(name));
    }
    ObjectNode config = (ObjectNode) JSON.readTree(source.resolve("config.json").toFile());
    config.set(field, value == null ? null : JSON.readTree(value));
    if (value == null) {
      config.remove(field);
    }
    JSON.writeValue(dir.resolve("config.json").toFile(), config);
    return dir;
  }

  private static String refusal(Path path) {
    var e =
        assertThrows(
            IllegalArgumentException.class, () -> BaseModelFiles.open(path, Quantization.NONE));
    return e.getMessage();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "llama | model_type | \"gemma3\" | llama, mistral, qwen2, qwen3",
        "llama | hidden_act | \"gelu\" | silu",
        "llama | hidden_size | -1 | whole number above 0",
        "llama | vocab_size | 265 | is [264, 64], its configuration wants [265, 64]",
        "llama | num_hidden_layers | 3 | no tensor 'model.layers.2.self_attn.q_proj.weight'",
        "llama | num_attention_heads | 3 | heads in whole groups",
        "llama | attention_bias | true | no tensor 'model.layers.0.self_attn.q_proj.bias'",
        "llama | tie_word_embeddings | false | no tensor 'lm_head.weight', wanted [264, 64]",
        "llama | intermediate_size | 128 | is [96, 64], its configuration wants [128, 64]",
        "llama | rope_parameters | {\"rope_type\":\"yarn\",\"factor\":4} | 'yarn' is not supported",
        "llama | rope_parameters | {\"rope_type\":\"linear\"} | 'factor'",
        "llama | quantization_config | {\"quant_method\":\"awq\"} | quantized with awq",
        "llama | quantization_config | {\"quant_method\":\"gptq\",\"bits\":4} | quantized with gptq",
        "llama-nf4 | quantization_config | {\"load_in_8bit\":true} | bitsandbytes 8-bit",
        "llama-nf4 | quantization_config | {\"load_in_4bit\":true} | bitsandbytes fp4",
      })
  void modelThatCannotBeComputedIsRefusedByWhatItHas(
      String model, String field, String value, String wanted) throws IOException {
    // Given
    Path folder = changed(model, field, value);
    // When
    String message = refusal(folder);
    // Then
    assertTrue(message.contains(wanted), message);
  }

  @Test
  void windowInSomeLayersOnlyIsRefusedAndInAllIsTaken() throws IOException {
    // Given
    Path folder = changed("qwen2", "use_sliding_window", "true");
    Path file = folder.resolve("config.json");
    ObjectNode config = (ObjectNode) JSON.readTree(file.toFile());
    config.put("sliding_window", 16).remove("layer_types");
    // When
    JSON.writeValue(file.toFile(), config.put("max_window_layers", 1));
    String mixed = refusal(folder);
    JSON.writeValue(file.toFile(), config.put("max_window_layers", 0));
    int all = BaseModelFiles.open(folder, Quantization.NONE).spec().slidingWindow();
    JSON.writeValue(file.toFile(), config.put("max_window_layers", 2));
    int none = BaseModelFiles.open(folder, Quantization.NONE).spec().slidingWindow();
    // Then
    assertTrue(mixed.contains("1 of 2 layers"), mixed);
    assertEquals(16, all);
    assertEquals(0, none);
  }

  @Test
  void transformersFourSpellingOfRopeGivesTheSameSpec() throws IOException {
    // Given
    Path folder = changed("llama3-rope", "rope_parameters", null);
    Path file = folder.resolve("config.json");
    JsonNode old =
        JSON.readTree(
            """
            {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
             "original_max_position_embeddings": 64}""");
    ObjectNode config = (ObjectNode) JSON.readTree(file.toFile());
    JSON.writeValue(file.toFile(), config.put("rope_theta", 10000.0).set("rope_scaling", old));
    // When
    RopeSpec had = BaseModelFiles.open(folder, Quantization.NONE).spec().rope();
    // Then
    assertEquals(new RopeSpec(10000, RopeSpec.Scaling.LLAMA3, 8, 1, 4, 64, null), had);
  }

  @Test
  void damagedConfigIsRefusedByFile() throws IOException {
    // Given
    Path folder = changed("llama", "x", "1");
    Files.writeString(folder.resolve("config.json"), "{\"model_type\": ");
    // When
    var e = assertThrows(IOException.class, () -> BaseModelFiles.open(folder, Quantization.NONE));
    // Then
    assertTrue(e.getMessage().contains("config.json"), e.getMessage());
  }

  @Test
  void ggufArchitectureIsRefusedByName() throws IOException {
    // Given
    byte[] bytes = Files.readAllBytes(GoldenFiles.path("models/gguf/qwen2-q8_0.gguf"));
    String text = new String(bytes, StandardCharsets.ISO_8859_1).replace("qwen2", "gemma");
    Path file = dir.resolve("gemma.gguf");
    Files.write(file, text.getBytes(StandardCharsets.ISO_8859_1));
    // When
    String message = refusal(file);
    // Then
    assertTrue(message.contains("'gemma' is not supported, wanted one of [llama, qwen2, qwen3]"));
  }

  @Test
  void ggufTensorUnderAnotherNameIsMissedByName() throws IOException {
    // Given
    byte[] bytes = Files.readAllBytes(GoldenFiles.path("models/gguf/qwen3-q4_1.gguf"));
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    text = text.replace("blk.1.attn_k_norm.weight", "blk.1.attn_k_nurm.weight");
    Path file = dir.resolve("renamed.gguf");
    Files.write(file, text.getBytes(StandardCharsets.ISO_8859_1));
    // When
    String message = refusal(file);
    // Then
    assertTrue(message.contains("no tensor 'blk.1.attn_k_norm.weight', wanted [32]"), message);
  }

  @Test
  void folderOfTwoGgufFilesOrNoneIsRefusedWithTheNextStep() throws IOException {
    // Given
    Path file = GoldenFiles.path("models/gguf/qwen2-q8_0.gguf");
    // When
    var none = assertThrows(IOException.class, () -> BaseModelFiles.open(dir, Quantization.NONE));
    Files.copy(file, dir.resolve("a.gguf"));
    Files.copy(file, dir.resolve("b.gguf"));
    var two = assertThrows(IOException.class, () -> BaseModelFiles.open(dir, Quantization.NONE));
    // Then
    assertTrue(none.getMessage().contains("0 .gguf"), none.getMessage());
    assertTrue(two.getMessage().contains("name the file itself"), two.getMessage());
  }

  @Test
  void quantizationIsParsedByNameAndRefusedByValue() {
    assertEquals(Quantization.NF4_DQ, Quantization.parse("NF4-DQ"));
    assertEquals(Quantization.NONE, Quantization.parse("none"));
    var e = assertThrows(IllegalArgumentException.class, () -> Quantization.parse("int3"));
    assertTrue(e.getMessage().contains("'int3'"), e.getMessage());
  }

  @Test
  void packedBytesThatDoNotFitTheirShapeAreRefusedByTensor() throws IOException {
    // Given: the JSON of one tensor's state says 32 rows, its bytes hold 64
    Path folder = changed("llama-nf4", "x", "1");
    Path file = folder.resolve("model.safetensors");
    String text = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
    int at = text.indexOf("\"shape\": [64, 64]}");
    byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
    byte[] fewer = "\"shape\": [32, 64]}".getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(fewer, 0, bytes, at, fewer.length);
    Files.write(file, Arrays.copyOf(bytes, bytes.length));
    // When
    String message = refusal(folder);
    // Then
    assertTrue(message.contains("takes 1024 bytes and 32 scales, had 2048 and 64"), message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"gguf/qwen3-q4_1.gguf", "llama-nf4-dq/config.json"})
  void flippedBytesOpenOrAreRefusedWithoutAnyOtherException(String name) throws IOException {
    // Given
    Path source = GoldenFiles.path("models/" + name);
    byte[] whole = Files.readAllBytes(source);
    boolean gguf = name.endsWith(".gguf");
    Path opened = gguf ? dir.resolve("flipped.gguf") : changed("llama-nf4-dq", "x", "1");
    Path damagedFile = gguf ? opened : opened.resolve("config.json");
    Random random = new Random(3);
    int header = gguf ? 900 : whole.length;
    int refusals = 0;
    for (int round = 0; round < 150; round++) {
      byte[] damaged = whole.clone();
      byte value = gguf ? (byte) random.nextInt(256) : (byte) (' ' + random.nextInt(90));
      damaged[random.nextInt(header)] = value;
      Files.write(damagedFile, damaged);
      // When
      try {
        BaseModelFiles.open(opened, Quantization.NONE).close();
      } catch (IOException | UncheckedIOException | IllegalArgumentException e) {
        refusals++;
      }
    }
    // Then
    assertTrue(refusals > 20, "only " + refusals + " of 150 were refused");
  }
}
