package io.chorale.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.train.data.SftExample;
import io.chorale.train.model.AdapterSpec;
import io.chorale.train.model.PackedBatch;
import io.chorale.train.model.Parameter;
import io.chorale.train.model.TrainMethod;
import io.chorale.train.model.TrainableCausalLm;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class StepGradientsTest {
  private static final AdapterSpec SPEC =
      new AdapterSpec(
          TrainMethod.LORA, 4, 8, 0f, List.of("all-linear"), Map.of(), Map.of(), List.of());

  private record Computed(double loss, double norm, List<float[]> gradients) {}

  private static Computed compute(List<SftExample> rows, int batchSize, int gradAccum)
      throws IOException {
    try (BaseModelFiles files =
            BaseModelFiles.open(TinyRun.MODELS.resolve("llama"), Quantization.NONE);
        TrainableCausalLm model = TrainableCausalLm.open(files, SPEC, TinyRun.COMPUTE, 3)) {
      for (Parameter p : model.parameters()) { // B is zero at first, and A would get no gradient
        p.value().add_(new org.bytedeco.pytorch.Scalar(0.01));
      }
      var shape = new Batches.Shape(batchSize, gradAccum, false, 64, 5);
      List<PackedBatch> window = new Batches(rows, shape).step(0, 0);
      assertEquals((rows.size() + batchSize - 1) / batchSize, window.size());
      StepGradients.Result result =
          new StepGradients(model, rows, Optional.empty(), 5).compute(window, 0);
      List<float[]> gradients = new ArrayList<>();
      for (Parameter p : model.parameters()) {
        float[] grad = new float[(int) p.elements()];
        p.grad().data_ptr_float().get(grad, 0, grad.length);
        gradients.add(grad);
      }
      return new Computed(result.loss(), result.norm(), gradients);
    }
  }

  private static void assertSame(Computed wanted, Computed had) {
    assertEquals(wanted.loss(), had.loss(), 1e-5 * wanted.loss());
    assertEquals(wanted.norm(), had.norm(), 1e-5 * wanted.norm());
    double largest = 0;
    double apart = 0;
    for (int p = 0; p < wanted.gradients().size(); p++) {
      for (int i = 0; i < wanted.gradients().get(p).length; i++) {
        float one = wanted.gradients().get(p)[i];
        largest = Math.max(largest, Math.abs(one));
        apart = Math.max(apart, Math.abs(one - had.gradients().get(p)[i]));
      }
    }
    assertTrue(largest > 0, "no gradient at all");
    assertTrue(apart <= 1e-5 * largest, "gradients are %s of %s apart".formatted(apart, largest));
  }

  @Test
  void howEightRowsAreSpreadOverMicroBatchesDoesNotMatter() throws IOException {
    // Given rows with different numbers of trained tokens
    List<SftExample> rows = TinyRun.rows(8).examples();
    // When
    Computed eightTimesOne = compute(rows, 1, 8);
    Computed fourTimesTwo = compute(rows, 2, 4);
    Computed onceEight = compute(rows, 8, 1);
    // Then
    assertSame(onceEight, eightTimesOne);
    assertSame(onceEight, fourTimesTwo);
  }

  @Test
  void windowThatIsNotFullWeighsItsTokensAsAnyOther() throws IOException {
    // Given five rows where eight would fit
    List<SftExample> rows = TinyRun.rows(5).examples();
    // When
    Computed parts = compute(rows, 2, 4);
    Computed whole = compute(rows, 5, 1);
    // Then
    assertSame(whole, parts);
  }
}
