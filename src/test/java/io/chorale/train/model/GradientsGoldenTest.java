package io.chorale.train.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Losses and gradients against PEFT's autograd (golden/train/README.md). */
class GradientsGoldenTest {
  private static final long DROPOUT_SEED = 9;

  private final GoldenTraining golden = GoldenTraining.read();

  @ParameterizedTest
  @CsvSource({
    "lora, 1e-5",
    "rslora, 1e-5",
    "dora, 1e-5",
    "patterns, 1e-5",
    "regex, 1e-5",
    "modules-to-save, 1e-5",
    "tied-modules-to-save, 1e-5",
    "embed-head, 1e-5",
    "dora-embed-head, 1e-5",
    "lora-dropout, 1e-5",
    "dora-dropout, 1e-5",
    "full, 1e-5",
    "full-untied, 1e-5",
    "full-qwen2, 1e-5",
    "full-qwen3, 1e-5",
    "llama3-rope, 1e-5",
    "mistral, 1e-5",
    "qwen2, 1e-5",
    "qwen2-dora, 1e-5",
    "qwen3, 1e-5",
    "qwen3-dora, 1e-5",
    "nf4, 1e-4",
    "nf4-dq-dora, 1e-4",
    "q4_1, 1e-5",
    "q4_0, 1e-5",
    "q4_1-dora, 1e-5",
    "qwen3-q4_1, 1e-5"
  })
  void lossAndEveryGradientAreThoseOfPeft(String name, double tolerance) throws IOException {
    // Given
    GoldenTraining.Case golden = this.golden.named(name);
    try (TrainableCausalLm model = golden.open(GoldenTraining.f32())) {
      // When
      double loss = model.lossAndGradients(this.golden.packed(), 1, DROPOUT_SEED);
      // Then
      assertEquals(golden.loss(), loss, tolerance * golden.loss(), "loss");
      Map<String, float[]> gradients = GoldenTraining.gradients(model);
      assertEquals(keys(golden), new TreeSet<>(gradients.keySet()));
      for (Parameter parameter : model.parameters()) {
        check(golden, parameter, gradients.get(parameter.key()), tolerance);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"lora-dropout", "dora-dropout", "dora-embed-head", "q4_1"})
  void divergenceFromTheBaseAndItsGradientsAreThoseOfPeft(String name) throws IOException {
    // Given
    GoldenTraining.Case golden = this.golden.retained(name);
    try (TrainableCausalLm model = golden.open(GoldenTraining.f32())) {
      // When
      double sum = model.divergenceAndGradients(this.golden.packed(), 1, DROPOUT_SEED);
      // Then
      assertEquals(golden.loss(), sum, 1e-5 * golden.loss(), "divergence");
      Map<String, float[]> gradients = GoldenTraining.gradients(model);
      assertEquals(keys(golden), new TreeSet<>(gradients.keySet()));
      for (Parameter parameter : model.parameters()) {
        check(golden, parameter, gradients.get(parameter.key()), 2e-5);
      }
    }
  }

  private static TreeSet<String> keys(GoldenTraining.Case golden) {
    return golden.tensors().keySet().stream()
        .filter(key -> key.startsWith("grad.") || key.startsWith("rows."))
        .map(key -> key.substring(5))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static void check(
      GoldenTraining.Case golden, Parameter parameter, float[] had, double tolerance) {
    float[] whole = golden.tensors().get("grad." + parameter.key());
    if (whole != null) {
      close(whole, had, parameter.key(), tolerance);
    } else if (parameter.shape().length == 1) {
      close(golden.tensors().get("rows." + parameter.key()), had, parameter.key(), tolerance);
    } else {
      int cols = (int) parameter.shape()[1];
      close(
          golden.tensors().get("rows." + parameter.key()),
          GoldenTraining.everySixthRow(had, cols),
          parameter.key(),
          tolerance);
      close(
          golden.tensors().get("sum." + parameter.key()),
          GoldenTraining.sumOfEveryOtherRow(had, cols),
          parameter.key() + " summed",
          tolerance);
    }
  }

  private static void close(float[] wanted, float[] had, String what, double tolerance) {
    double error = GoldenTraining.relative(had, wanted);
    assertTrue(error < tolerance, () -> "gradient of %s is off by %.2e".formatted(what, error));
  }
}
