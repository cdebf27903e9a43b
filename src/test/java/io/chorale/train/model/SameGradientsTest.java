package io.chorale.train.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.model.BaseModelFiles;
import io.chorale.tensor.TorchDevice;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What must not change the gradients: packing, checkpoints, bands of the loss, slices. */
class SameGradientsTest {
  private final GoldenTraining golden = GoldenTraining.read();

  private record Outcome(double loss, Map<String, float[]> gradients) {}

  private Outcome run(String name, Compute compute, PackedBatch... batches) throws IOException {
    try (TrainableCausalLm model = golden.named(name).open(compute)) {
      double loss = 0;
      for (PackedBatch batch : batches) {
        loss += model.lossAndGradients(batch, 0.5, 9);
      }
      return new Outcome(loss, GoldenTraining.gradients(model));
    }
  }

  private static void assertSame(Outcome wanted, Outcome had, double tolerance) {
    assertEquals(wanted.loss(), had.loss(), tolerance * wanted.loss(), "loss");
    wanted
        .gradients()
        .forEach(
            (key, gradient) -> {
              double error = GoldenTraining.relative(had.gradients().get(key), gradient);
              assertTrue(error <= tolerance, () -> key + " is off by " + error);
            });
  }

  /** 2e-6 over all gradients; a small one, of a difference of large ones, may be off by more. */
  @ParameterizedTest
  @ValueSource(strings = {"lora", "dora", "mistral", "modules-to-save", "full-qwen3"})
  void packedSequencesGiveTheSumOfTheirOwnGradients(String name) throws IOException {
    Outcome alone = run(name, GoldenTraining.f32(), golden.pack(0), golden.pack(1), golden.pack(2));
    Outcome packed = run(name, GoldenTraining.f32(), golden.pack(2, 0, 1));
    assertSame(alone, packed, 5e-6);
    assertEquals(0, GoldenTraining.relative(all(packed), all(alone)), 2e-6);
  }

  @ParameterizedTest
  @ValueSource(strings = {"lora", "dora", "qwen3-dora", "full", "lora-dropout", "dora-dropout"})
  void checkpointingGivesTheSameBits(String name) throws IOException {
    Compute kept = GoldenTraining.f32();
    Compute again = new Compute(TorchDevice.CPU, ComputeType.F32, true, 4, 1);
    Outcome wanted = run(name, kept, golden.packed());
    Outcome had = run(name, again, golden.packed());
    assertEquals(wanted.loss(), had.loss());
    wanted.gradients().forEach((key, g) -> assertArrayEquals(g, had.gradients().get(key), key));
  }

  private static float[] all(Outcome outcome) {
    int size = outcome.gradients().values().stream().mapToInt(g -> g.length).sum();
    float[] out = new float[size];
    int at = 0;
    for (float[] gradient : outcome.gradients().values()) {
      System.arraycopy(gradient, 0, out, at, gradient.length);
      at += gradient.length;
    }
    return out;
  }

  @Test
  void bandsOfTheLossDoNotMatter() throws IOException {
    Outcome whole =
        run(
            "embed-head",
            new Compute(TorchDevice.CPU, ComputeType.F32, false, 99, 1),
            golden.packed());
    for (int rows : new int[] {1, 3, 7}) {
      Compute bands = new Compute(TorchDevice.CPU, ComputeType.F32, false, rows, 1);
      assertSame(whole, run("embed-head", bands, golden.packed()), 1e-6);
    }
  }

  @Test
  void workspacesOfALargerBatchDoNotLeakIntoASmallerOne() throws IOException {
    try (TrainableCausalLm model = golden.named("dora").open(GoldenTraining.f32())) {
      double first = model.loss(golden.pack(1));
      model.lossAndGradients(golden.packed(), 1, 0);
      assertEquals(first, model.loss(golden.pack(1)));
    }
  }

  @Test
  void longBatchIsCutBetweenSequencesOnly() {
    int[] starts = {0, 3, 8, 9, 14};
    PackedBatch batch = new PackedBatch(new int[14], new int[14], starts, new int[4]);
    List<PackedBatch.Slice> slices = PackedBatch.Slice.of(batch, 6);
    List<int[]> cuts = slices.stream().map(PackedBatch.Slice::starts).toList();
    assertEquals(
        List.of("[0, 3]", "[0, 5, 6]", "[0, 5]"), cuts.stream().map(Arrays::toString).toList());
  }

  @Test
  void sequencesInSeveralSlicesGiveTheSumOfTheirOwnLosses() throws IOException {
    int length = TrainableCausalLm.SLICE_ROWS / 2 - 100;
    int[] ids = IntStream.range(0, 3 * length).map(i -> i * 7 % 256).toArray();
    int[] targets =
        IntStream.range(0, 3 * length).map(i -> i % length == length - 1 ? -100 : 5).toArray();
    int[] starts = {0, length, 2 * length, 3 * length};
    try (TrainableCausalLm model = golden.named("lora").open(GoldenTraining.f32())) {
      double sum = 0;
      for (int s = 0; s < 3; s++) {
        sum +=
            model.loss(
                new PackedBatch(
                    Arrays.copyOfRange(ids, starts[s], starts[s + 1]),
                    Arrays.copyOfRange(targets, starts[s], starts[s + 1]),
                    new int[] {0, length},
                    new int[1]));
      }
      assertEquals(sum, model.loss(new PackedBatch(ids, targets, starts, new int[3])), 1e-6 * sum);
    }
  }

  @Test
  void tokenOutsideTheVocabularyIsNamed() throws IOException {
    PackedBatch batch =
        new PackedBatch(new int[] {1, 9999}, new int[] {5, -100}, new int[] {0, 2}, new int[1]);
    try (TrainableCausalLm model = golden.named("lora").open(GoldenTraining.f32())) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> model.lossAndGradients(batch, 1, 0))
              .getMessage();
      assertTrue(message.startsWith("row 1 of the batch has token 9999"), message);
    }
  }

  @Test
  void bf16StaysCloseToF32() throws IOException {
    Compute bf16 = new Compute(TorchDevice.CPU, ComputeType.BF16, false, 4, 1);
    for (String name : List.of("lora", "dora", "nf4", "q4_1", "full")) {
      Outcome exact = run(name, GoldenTraining.f32(), golden.packed());
      Outcome rough = run(name, bf16, golden.packed());
      assertEquals(exact.loss(), rough.loss(), 0.01 * exact.loss(), name);
      double cosine = cosine(exact.gradients(), rough.gradients());
      assertTrue(cosine > 0.99, () -> name + " has a cosine of " + cosine);
    }
  }

  private static double cosine(Map<String, float[]> a, Map<String, float[]> b) {
    double dot = 0;
    double aa = 0;
    double bb = 0;
    for (String key : a.keySet()) {
      float[] x = a.get(key);
      float[] y = b.get(key);
      for (int i = 0; i < x.length; i++) {
        dot += (double) x[i] * y[i];
        aa += (double) x[i] * x[i];
        bb += (double) y[i] * y[i];
      }
    }
    return dot / Math.sqrt(aa * bb);
  }

  @Test
  void dropoutFollowsItsSeed() throws IOException {
    try (TrainableCausalLm model = golden.named("lora-dropout").open(GoldenTraining.f32())) {
      double first = model.lossAndGradients(golden.packed(), 1, 4);
      assertEquals(first, model.lossAndGradients(golden.packed(), 1, 4));
      assertTrue(first != model.lossAndGradients(golden.packed(), 1, 5), "another seed");
      assertTrue(first != model.loss(golden.packed()), "no dropout in evaluation");
    }
  }

  @Test
  void untrainedAdapterAndBaseFollowFromTheSeed() throws IOException {
    try (BaseModelFiles files = golden.named("dora").files();
        TrainableCausalLm one =
            TrainableCausalLm.open(files, golden.named("dora").spec(), GoldenTraining.f32(), 5);
        TrainableCausalLm two =
            TrainableCausalLm.open(files, golden.named("dora").spec(), GoldenTraining.f32(), 5)) {
      for (int i = 0; i < one.parameters().size(); i++) {
        Parameter a = one.parameters().get(i);
        float[] values = GoldenTraining.host(a.value());
        assertArrayEquals(values, GoldenTraining.host(two.parameters().get(i).value()), a.key());
        if (a.kind() == Parameter.Kind.LORA_A) {
          double bound = 1 / Math.sqrt(a.shape()[1]);
          for (float value : values) {
            assertTrue(Math.abs(value) <= bound, () -> a.key() + " has " + value);
          }
        }
      }
    }
  }
}
