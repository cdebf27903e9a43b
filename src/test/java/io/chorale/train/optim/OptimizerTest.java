package io.chorale.train.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.format.SafetensorsFiles;
import io.chorale.format.TensorData;
import io.chorale.train.model.LooseParameters;
import io.chorale.train.model.Parameter;
import io.chorale.train.model.Parameter.Kind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against torch's AdamW and bitsandbytes' AdamW8bit, by benchmarks/golden/optimizers.py. */
class OptimizerTest {
  private static final Path GOLDEN =
      Path.of("src/test/resources/golden/trainer/optimizers.safetensors");
  private static final int STEPS = 5;
  private static final double LR = 1e-3;
  private static final AdamSettings SETTINGS = AdamSettings.of(0.01, 1);

  @TempDir Path folder;

  private interface Maker extends BiFunction<List<Parameter>, StateMemory, Optimizer> {}

  private static final Maker FULL = (p, memory) -> new AdamW(p, SETTINGS, memory);
  private static final Maker EIGHT_BIT = (p, memory) -> new AdamW8bit(p, SETTINGS, memory);

  /** As in the script: in [-1, 1], over five orders of magnitude. */
  private static float[] numbers(int count, int step) {
    float[] scale = {1001, 10010, 100100, 1001000, 10010000};
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = ((i * 7919L + step * 104729L + 17) % 2003 - 1001) / scale[i % 5];
    }
    return numbers;
  }

  private static List<Parameter> parameters() {
    return List.of(
        LooseParameters.of("large", Kind.LORA_A, numbers(5000, 0), 10, 500),
        LooseParameters.of("small", Kind.LORA_A, numbers(300, 0), 300));
  }

  private static void steps(Optimizer optimizer, List<Parameter> parameters, int from, int to) {
    for (int step = from; step <= to; step++) {
      for (Parameter p : parameters) {
        LooseParameters.grad(p, numbers((int) p.elements(), step));
      }
      optimizer.step(LR, 1f);
    }
  }

  /** Values by key, state by its name. */
  private static Map<String, byte[]> after(Optimizer optimizer, List<Parameter> parameters) {
    Map<String, byte[]> all = new TreeMap<>();
    for (Parameter p : parameters) {
      ByteBuffer bytes = ByteBuffer.allocate(4 * (int) p.elements());
      bytes.asFloatBuffer().put(LooseParameters.values(p));
      all.put(p.key(), bytes.array());
    }
    for (Optimizer.StateTensor s : optimizer.state()) {
      byte[] bytes = new byte[s.pages().get(0).capacity()];
      s.pages().get(0).get(0, bytes);
      all.put(s.name(), bytes);
    }
    return all;
  }

  private static float[] floats(Optimizer optimizer, String name) {
    ByteBuffer page = state(optimizer, name);
    float[] values = new float[page.capacity() / 4];
    page.asFloatBuffer().get(0, values);
    return values;
  }

  private static ByteBuffer state(Optimizer optimizer, String name) {
    return optimizer.state().stream()
        .filter(s -> s.name().equals(name))
        .findFirst()
        .orElseThrow()
        .pages()
        .get(0);
  }

  private static void assertClose(TensorData wanted, float[] had, double tolerance) {
    float[] values = wanted.toFloats();
    assertEquals(values.length, had.length);
    for (int i = 0; i < had.length; i++) {
      double bound = tolerance * Math.abs(values[i]) + 1e-8;
      assertTrue(
          Math.abs(had[i] - values[i]) <= bound,
          "%s[%d] is %s, torch has %s".formatted(wanted.name(), i, had[i], values[i]));
    }
  }

  @Test
  void valuesAndMomentsOfAdamWAreTorchs() throws IOException {
    // Given
    List<Parameter> parameters = parameters();
    try (SafetensorsFiles golden = SafetensorsFiles.open(GOLDEN);
        Optimizer optimizer = FULL.apply(parameters, StateMemory.inRam())) {
      // When
      steps(optimizer, parameters, 1, STEPS);
      // Then
      for (Parameter p : parameters) {
        assertArrayEquals(
            golden.tensor("adamw." + p.key()).toFloats(), LooseParameters.values(p), 2e-7f);
        for (String moment : List.of(".exp_avg", ".exp_avg_sq")) {
          TensorData wanted = golden.tensor("adamw." + p.key() + moment);
          assertClose(wanted, floats(optimizer, p.key() + moment), 2e-5);
        }
      }
    }
  }

  @Test
  void codesOfAdamW8bitAreBitsAndBytesButForRoundingAtAnEdge() throws IOException {
    // Given
    List<Parameter> parameters = parameters();
    try (SafetensorsFiles golden = SafetensorsFiles.open(GOLDEN);
        Optimizer optimizer = EIGHT_BIT.apply(parameters, StateMemory.inRam())) {
      // When
      steps(optimizer, parameters, 1, STEPS);
      // Then
      for (String which : List.of("1", "2")) {
        ByteBuffer wanted = golden.tensor("adamw8bit.large.state" + which).bytes();
        ByteBuffer had = state(optimizer, "large.state" + which);
        int other = 0;
        for (int i = 0; i < 5000; i++) {
          int apart = Math.abs((wanted.get(i) & 0xff) - (had.get(i) & 0xff));
          other += apart;
          assertTrue(apart <= 1, "state%s[%d] is %d codes off".formatted(which, i, apart));
        }
        assertTrue(other <= 5, other + " of 5000 codes of state" + which + " differ");
        assertClose(
            golden.tensor("adamw8bit.large.absmax" + which),
            floats(optimizer, "large.absmax" + which),
            1e-6);
        assertClose(
            golden.tensor("adamw8bit.small.state" + which),
            floats(optimizer, "small.state" + which),
            2e-5);
      }
      for (Parameter p : parameters) {
        assertArrayEquals(
            golden.tensor("adamw8bit." + p.key()).toFloats(), LooseParameters.values(p), 3e-5f);
      }
    }
  }

  @Test
  void dynamicMapsAreBitsAndBytesBits() throws IOException {
    try (SafetensorsFiles golden = SafetensorsFiles.open(GOLDEN)) {
      assertArrayEquals(golden.tensor("map.signed").toFloats(), DynamicMap.SIGNED.values, 0f);
      assertArrayEquals(golden.tensor("map.unsigned").toFloats(), DynamicMap.UNSIGNED.values, 0f);
    }
  }

  @Test
  void stateInAMappedFileGivesTheBitsOfStateInMemory() throws IOException {
    for (Maker maker : List.of(FULL, EIGHT_BIT)) {
      // Given
      Path file = folder.resolve("state.bin");
      List<Parameter> inRam = parameters();
      List<Parameter> paged = parameters();
      try (Optimizer one = maker.apply(inRam, StateMemory.inRam());
          Optimizer two = maker.apply(paged, StateMemory.paged(file))) {
        // When
        steps(one, inRam, 1, STEPS);
        steps(two, paged, 1, STEPS);
        // Then
        assertSame(after(one, inRam), after(two, paged));
        assertTrue(Files.size(file) > 0);
      }
      assertFalse(Files.exists(file), "the scratch file is left behind");
    }
  }

  @Test
  void optimizerThatGoesOnFromItsStateMakesTheStepsOfOneThatNeverStopped() throws IOException {
    for (Maker maker : List.of(FULL, EIGHT_BIT)) {
      // Given
      List<Parameter> whole = parameters();
      List<Parameter> parts = parameters();
      try (Optimizer one = maker.apply(whole, StateMemory.inRam());
          Optimizer first = maker.apply(parts, StateMemory.inRam());
          Optimizer second = maker.apply(parts, StateMemory.inRam())) {
        steps(one, whole, 1, STEPS);
        steps(first, parts, 1, 2);
        // When
        for (int i = 0; i < first.state().size(); i++) {
          ByteBuffer from = first.state().get(i).pages().get(0);
          second.state().get(i).pages().get(0).put(0, from, 0, from.capacity());
        }
        second.resumeAt(first.steps());
        steps(second, parts, 3, STEPS);
        // Then
        assertSame(after(one, whole), after(second, parts));
      }
    }
  }

  private static void assertSame(Map<String, byte[]> wanted, Map<String, byte[]> had) {
    assertEquals(wanted.keySet(), had.keySet());
    wanted.forEach((name, bytes) -> assertArrayEquals(bytes, had.get(name), name));
  }

  @Test
  void learningRateOfBIsTheRatioTimesThatOfA() {
    // Given
    List<Parameter> parameters =
        List.of(
            LooseParameters.of("a", Kind.LORA_A, new float[] {0}, 1),
            LooseParameters.of("b", Kind.LORA_B, new float[] {0}, 1));
    parameters.forEach(p -> LooseParameters.grad(p, new float[] {1}));
    try (Optimizer optimizer = new AdamW(parameters, AdamSettings.of(0, 16), StateMemory.inRam())) {
      // When
      optimizer.step(LR, 1f);
    }
    // Then Adam's first step is as long as the rate
    assertEquals(-LR, LooseParameters.values(parameters.get(0))[0], 1e-9);
    assertEquals(-16 * LR, LooseParameters.values(parameters.get(1))[0], 1e-8);
  }

  @Test
  void normsAreNotDecayed() {
    // Given
    List<Parameter> parameters =
        List.of(
            LooseParameters.of("norm", Kind.NORM, new float[] {1}, 1),
            LooseParameters.of("dense", Kind.DENSE, new float[] {1}, 1));
    try (Optimizer optimizer =
        new AdamW(parameters, AdamSettings.of(0.5, 1), StateMemory.inRam())) {
      // When
      optimizer.step(0.1, 1f);
    }
    // Then
    assertEquals(1f, LooseParameters.values(parameters.get(0))[0]);
    assertEquals(0.95f, LooseParameters.values(parameters.get(1))[0], 1e-7f);
  }

  @Test
  void normCountsEveryParameterAndClippingKeepsItsBound() {
    // Given
    List<Parameter> parameters =
        List.of(
            LooseParameters.of("a", Kind.LORA_A, new float[2], 2),
            LooseParameters.of("b", Kind.LORA_B, new float[1], 1));
    LooseParameters.grad(parameters.get(0), new float[] {2, 3});
    LooseParameters.grad(parameters.get(1), new float[] {6});
    // When
    double norm = Gradients.norm(parameters);
    // Then
    assertEquals(7, norm, 1e-12);
    assertEquals(0.3 / 7, Gradients.clipFactor(norm, 0.3), 1e-7);
    assertEquals(1f, Gradients.clipFactor(0.2, 0.3));
    assertEquals(1f, Gradients.clipFactor(norm, 0), "0 is no bound");
  }
}
