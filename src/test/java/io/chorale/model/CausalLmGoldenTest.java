package io.chorale.model;

import io.chorale.kernel.LoraTable;
import io.chorale.kernel.Ops;
import io.chorale.kernel.TorchOps;
import io.chorale.kernel.TorchOps.WeightForm;
import io.chorale.tensor.TorchDevice;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every family and file format against transformers' logits (golden/models/README.md). */
class CausalLmGoldenTest {
  private static final double TOLERANCE = 1e-4;

  @ParameterizedTest
  @CsvSource({
    "llama, DENSE",
    "llama-untied, DENSE",
    "llama3-rope, DENSE",
    "mistral, DENSE",
    "qwen2, DENSE",
    "qwen3, DENSE",
    "llama-nf4, DENSE",
    "llama-nf4, PACKED",
    "llama-nf4-dq, DENSE",
    "llama-nf4-dq, PACKED"
  })
  void folderGivesTransformersLogitsWholeAndChunked(String name, WeightForm form)
      throws IOException {
    check(TinyModel.GOLDEN.resolve("models").resolve(name), "logits.json", form);
  }

  @ParameterizedTest
  @CsvSource({
    "llama-f16, DENSE",
    "llama-q4_1, DENSE",
    "llama-q4_1, PACKED",
    "llama-untied-q4_0, DENSE",
    "llama-untied-q4_0, PACKED",
    "llama3-rope-q8_0, DENSE",
    "mistral-q4_0, DENSE",
    "qwen2-q8_0, DENSE",
    "qwen3-q4_1, PACKED"
  })
  void ggufGivesTransformersLogitsWholeAndChunked(String name, WeightForm form) throws IOException {
    Path gguf = TinyModel.GOLDEN.resolve("models/gguf");
    check(gguf.resolve(name + ".gguf"), "../" + name + ".logits.json", form);
  }

  private static void check(Path files, String logits, WeightForm form) throws IOException {
    TorchOps ops = new TorchOps(TorchDevice.CPU, form);
    try (Ops.ThreadBinding binding = ops.bindThread();
        TinyModel tiny = new TinyModel(files, Quantization.NONE, ops)) {
      for (GoldenLogits golden : GoldenLogits.read(files.resolve(logits).normalize())) {
        int n = golden.ids().length;
        golden.assertClose(
            tiny.logits(golden.ids(), LoraTable.NO_LORA, n), TOLERANCE, files + " whole");
        golden.assertClose(
            tiny.logits(golden.ids(), LoraTable.NO_LORA, 2, n - 3, 1),
            TOLERANCE,
            files + " chunked");
      }
    }
  }
}
