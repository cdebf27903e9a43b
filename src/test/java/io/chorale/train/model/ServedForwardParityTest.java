package io.chorale.train.model;

import io.chorale.model.BaseModelFiles;
import io.chorale.model.GoldenLogits;
import io.chorale.model.Quantization;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The trainer's forward pass and the served one stand on the same golden logits. */
class ServedForwardParityTest {
  private static final Path MODELS = GoldenTraining.GOLDEN.resolve("models");

  @ParameterizedTest
  @CsvSource({
    "llama, logits.json",
    "llama-untied, logits.json",
    "llama3-rope, logits.json",
    "mistral, logits.json",
    "qwen2, logits.json",
    "qwen3, logits.json",
    "llama-nf4, logits.json",
    "llama-nf4-dq, logits.json",
    "gguf/llama-f16.gguf, ../llama-f16.logits.json",
    "gguf/llama-q4_1.gguf, ../llama-q4_1.logits.json",
    "gguf/llama-untied-q4_0.gguf, ../llama-untied-q4_0.logits.json",
    "gguf/llama3-rope-q8_0.gguf, ../llama3-rope-q8_0.logits.json",
    "gguf/qwen2-q8_0.gguf, ../qwen2-q8_0.logits.json",
    "gguf/qwen3-q4_1.gguf, ../qwen3-q4_1.logits.json"
  })
  void untrainedAdapterGivesTheBasesLogits(String base, String logits) throws IOException {
    Path path = MODELS.resolve(base);
    AdapterSpec spec =
        new AdapterSpec(
            TrainMethod.LORA, 4, 8, 0.1f, List.of("all-linear"), Map.of(), Map.of(), List.of());
    try (BaseModelFiles files = BaseModelFiles.open(path, Quantization.NONE);
        TrainableCausalLm model = TrainableCausalLm.open(files, spec, GoldenTraining.f32(), 3)) {
      for (GoldenLogits golden : GoldenLogits.read(path.resolve(logits).normalize())) {
        List<float[]> had = new ArrayList<>();
        for (int length = 1; length <= golden.ids().length; length++) {
          had.add(model.logits(Arrays.copyOf(golden.ids(), length)));
        }
        golden.assertClose(had, 1e-4, base);
      }
    }
  }
}
