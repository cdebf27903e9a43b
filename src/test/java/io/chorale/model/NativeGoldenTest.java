package io.chorale.model;

import io.chorale.kernel.LoraTable;
import io.chorale.kernel.NativeLibrary;
import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.kernel.NativeOps;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * {@link CausalLmGoldenTest}'s models on {@link NativeOps}: with exact weights only the half
 * precision of keys and values is left; with int8 inputs their rounding through all layers.
 */
@ParameterizedClass(allowZeroInvocations = true)
@MethodSource("sets")
class NativeGoldenTest {
  private static final double EXACT = 1.5e-3;

  /** int8 inputs are 0.5 % off at random in each of some ten products that follow each other. */
  private static final double INT8_ON_AVERAGE = 1.5e-2;

  private static final double INT8_AT_WORST = 5e-2;

  private final InstructionSet set;

  NativeGoldenTest(InstructionSet set) {
    this.set = set;
  }

  static List<InstructionSet> sets() {
    return NativeLibrary.supported();
  }

  @ParameterizedTest
  @CsvSource({
    "llama",
    "llama-untied",
    "llama3-rope",
    "mistral",
    "qwen2",
    "qwen3",
    "llama-nf4",
    "llama-nf4-dq"
  })
  void folderGivesTransformersLogitsWholeAndChunked(String name) throws IOException {
    check(TinyModel.GOLDEN.resolve("models").resolve(name), "logits.json", EXACT, EXACT);
  }

  @ParameterizedTest
  @CsvSource({
    "llama-f16",
    "llama-q4_1",
    "llama-untied-q4_0",
    "llama3-rope-q8_0",
    "mistral-q4_0",
    "qwen2-q8_0",
    "qwen3-q4_1"
  })
  void ggufGivesTransformersLogitsWholeAndChunked(String name) throws IOException {
    Path gguf = TinyModel.GOLDEN.resolve("models/gguf");
    double worst = name.endsWith("f16") ? EXACT : INT8_AT_WORST;
    double average = name.endsWith("f16") ? EXACT : INT8_ON_AVERAGE;
    check(gguf.resolve(name + ".gguf"), "../" + name + ".logits.json", worst, average);
  }

  private void check(Path files, String logits, double worst, double average) throws IOException {
    try (NativeOps ops = new NativeOps(set, 2);
        TinyModel tiny = new TinyModel(files, Quantization.NONE, ops)) {
      for (GoldenLogits golden : GoldenLogits.read(files.resolve(logits).normalize())) {
        int n = golden.ids().length;
        List<float[]> whole = tiny.logits(golden.ids(), LoraTable.NO_LORA, n);
        golden.assertClose(whole, worst, files + " whole");
        golden.assertCloseOnAverage(whole, average, files + " whole");
        List<float[]> chunked = tiny.logits(golden.ids(), LoraTable.NO_LORA, 2, n - 3, 1);
        golden.assertClose(chunked, worst, files + " chunked");
      }
    }
  }
}
