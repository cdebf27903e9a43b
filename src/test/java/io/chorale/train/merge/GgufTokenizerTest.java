package io.chorale.train.merge;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.model.TinyModel;
import io.chorale.text.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Tokenizers into GGUF metadata and out again, against the ids of transformers. */
class GgufTokenizerTest {
  private static final Path GOLDEN = TinyModel.GOLDEN.resolve("tokenizer");

  @TempDir Path folder;

  private BaseModelFiles modelWith(String tokenizer) throws IOException {
    for (String file : new String[] {"config.json", "model.safetensors", "chat_template.jinja"}) {
      Files.copy(Merging.MODELS.resolve("llama").resolve(file), folder.resolve(file));
    }
    Path packed = GOLDEN.resolve(tokenizer + ".json.gz");
    try (InputStream in =
        Files.exists(packed)
            ? new GZIPInputStream(Files.newInputStream(packed))
            : Files.newInputStream(GOLDEN.resolve(tokenizer + ".json"))) {
      Files.copy(in, folder.resolve("tokenizer.json"));
    }
    return BaseModelFiles.open(folder, Quantization.NONE);
  }

  @ParameterizedTest
  @CsvSource({
    "smollm2, gpt2, smollm",
    "llama3-style, gpt2, llama-bpe",
    "qwen2-style, gpt2, qwen2",
    "spm-style, llama, default"
  })
  void writtenAndRebuiltTokenizersGiveTheIdsOfTransformers(String name, String model, String pre)
      throws IOException {
    // Given
    ObjectMapper json = new ObjectMapper();
    Map<String, Object> metadata = new LinkedHashMap<>();
    Path rebuilt = Files.createDirectory(folder.resolve("rebuilt"));
    try (BaseModelFiles base = modelWith(name)) {
      int vocab = Tokenizer.fromJson(folder.resolve("tokenizer.json")).vocabSize();
      // When
      new GgufTokenizer(base, vocab).into(metadata);
      HfTokenizerFiles.rebuild(metadata, Set.of(2), 512, rebuilt);
    }
    // Then
    assertEquals(model, metadata.get("tokenizer.ggml.model"));
    assertEquals(pre, metadata.get("tokenizer.ggml.pre"));
    Tokenizer written = Tokenizer.fromGguf(metadata);
    Tokenizer again = Tokenizer.fromJson(rebuilt.resolve("tokenizer.json"));
    JsonNode cases = json.readTree(GOLDEN.resolve(name + ".golden.json").toFile()).path("cases");
    assertFalse(cases.isEmpty());
    for (JsonNode expected : cases) {
      String text = expected.path("text").asText();
      int[] ids = json.convertValue(expected.path("ids"), int[].class);
      assertArrayEquals(ids, written.encode(text, true), text);
      assertArrayEquals(ids, again.encode(text, true), text);
    }
  }
}
