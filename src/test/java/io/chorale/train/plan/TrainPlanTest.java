package io.chorale.train.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.lora.ModuleId;
import io.chorale.train.model.AdapterSpec;
import io.chorale.train.model.TrainMethod;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class TrainPlanTest {
  private static final long MIB = 1 << 20;

  private static BaseShape smol(BaseForm form) {
    return new BaseShape(
        "SmolLM2-135M",
        30,
        576,
        1536,
        9,
        576,
        192,
        49152,
        true,
        false,
        form,
        form,
        form.isFloat() ? form : BaseForm.Q4_1);
  }

  private static AdapterSpec adapter(TrainMethod method, String... targets) {
    return new AdapterSpec(
        method, 16, 32, 0, List.of(targets), Map.of("k_proj", 4), Map.of(), List.of());
  }

  private static TrainShape shape(BaseShape base, TrainMethod method, int computeBytes) {
    AdapterSpec spec =
        new AdapterSpec(method, 16, 32, 0, List.of("all-linear"), Map.of(), Map.of(), List.of());
    return new TrainShape(
        method,
        Targets.ranks(spec, base),
        0,
        false,
        computeBytes,
        false,
        256,
        false,
        false,
        4,
        4,
        512,
        false,
        3,
        0,
        Optional.empty());
  }

  private static TrainPlan plan(BaseForm form, TrainMethod method, int computeBytes) {
    BaseShape base = smol(form);
    return TrainPlan.of(
        base,
        shape(base, method, computeBytes),
        DataShape.full(160, 512),
        MachineRate.assumed(computeBytes));
  }

  private static long item(TrainPlan plan, String name) {
    return plan.items().stream()
        .filter(i -> i.name().equals(name))
        .mapToLong(MemoryItem::bytes)
        .sum();
  }

  @Test
  void parametersAndFormsAreThoseOfTheModel() {
    // When
    TrainPlan plan = plan(BaseForm.F32, TrainMethod.LORA, 4);
    // Then
    assertEquals(134_515_008, plan.base().parameters()); // as transformers counts
    assertEquals(4_884_480, plan.trainedParameters()); // as PEFT counts, r=16 all-linear
    assertEquals(424.7e6, BaseForm.F32.bytes(plan.base().linearWeights()), 0.1e6);
    assertEquals(54.8e6, BaseForm.NF4_DQ.bytes(plan.base().linearWeights()), 0.1e6);
    assertEquals(4.127, 8 * BaseForm.NF4_DQ.bytes(1 << 20) / 1048576.0, 0.001);
  }

  @Test
  void stepsAndTokensFollowBatchesAndEpochs() {
    // When
    TrainPlan plan = plan(BaseForm.F32, TrainMethod.LORA, 4);
    // Then
    assertEquals(3 * 160 / 16, plan.steps());
    assertEquals(3L * 160 * 512, plan.tokens());
  }

  @Test
  void itemsAreTheirFormulas() {
    // When
    TrainPlan plan = plan(BaseForm.Q4_1, TrainMethod.LORA, 4);
    // Then
    assertEquals(49152L * 576 * 4, item(plan, "dense matrix"));
    assertEquals(4_884_480L * 8, item(plan, "optimizer state"));
    long tape = 2 * 576 + 2 * 192 + 576 + 2 * 1536 + 7 * 16;
    assertEquals(30 * tape * 1024 * 4, item(plan, "layer activations"));
    assertEquals(31L * 576 * 1024 * 4, item(plan, "layer inputs"));
    assertEquals(256L * 49152 * 4 + 4 * 256L * 576 * 4, item(plan, "logits"));
    assertEquals(0, item(plan(BaseForm.F32, TrainMethod.LORA, 4), "dense matrix"));
  }

  @Test
  void retainedRowsCostTheBasesLogitsAndTime() {
    // Given
    TrainPlan without = plan(BaseForm.Q4_1, TrainMethod.LORA, 4);
    DataShape data = DataShape.full(160, 512);
    int[] lengths = DataShape.full(100, 128).lengths();
    // When
    TrainPlan with =
        TrainPlan.of(
            without.base(),
            without.shape(),
            new DataShape(data.lengths(), 1, 0, Optional.of(new DataShape.Retained(lengths, 4))),
            without.rate());
    // Then
    long held = 256L * 49152 * 4 + 5 * 4 * 64L * 49152 + (2 * 256L + 512) * 576 * 4;
    assertEquals(held, item(with, "base's answers"));
    assertEquals(0, item(without, "base's answers"));
    assertEquals(without.steps(), with.steps());
    assertEquals(1 + 4.0 / 3 * 512 / 8192, with.seconds() / without.seconds(), 0.05);
  }

  @Test
  void everyChangeSavesWhatItSaysAndTheRestStays() {
    for (BaseForm form : BaseForm.values()) {
      // Given
      TrainPlan plan = plan(form, TrainMethod.LORA, 4);
      // When
      List<PlanChange> changes = plan.changes();
      // Then
      assertFalse(changes.isEmpty());
      for (PlanChange change : changes) {
        assertTrue(change.savedBytes() > 0, change.text());
        assertEquals(plan.peakBytes() - change.savedBytes(), change.then().peakBytes());
      }
    }
  }

  @Test
  void checkpointingTakesTimeAndSmallerBatchesDoNot() {
    // Given
    TrainPlan plan = plan(BaseForm.F32, TrainMethod.LORA, 4);
    // When
    Map<String, PlanChange> changes =
        plan.changes().stream()
            .collect(java.util.stream.Collectors.toMap(PlanChange::flags, c -> c));
    // Then
    assertTrue(changes.get("--checkpointing").timeFactor() > 1.2);
    assertTrue(changes.get("--checkpointing").timeFactor() < 1.6);
    assertEquals(1, changes.get("--batch-size 1 --grad-accum 16").timeFactor(), 0.02);
    assertTrue(changes.get("--checkpointing").savedBytes() > 400 * MIB);
  }

  @Test
  void fittedPlanFitsWhereverTheLeanestDoes() {
    // Given
    TrainPlan plan = plan(BaseForm.Q4_1, TrainMethod.LORA, 4);
    long leanest = plan.fitted(1).peakBytes();
    for (long limit = leanest; limit < plan.peakBytes() + 100 * MIB; limit += 40 * MIB) {
      // When
      TrainPlan fitted = plan.fitted(limit);
      // Then
      assertTrue(fitted.fits(limit), "limit " + limit);
      assertEquals(
          plan.shape().batchSize() * plan.shape().gradAccum(),
          fitted.shape().batchSize() * fitted.shape().gradAccum());
      assertEquals(plan.shape().maxSeqLength(), fitted.shape().maxSeqLength());
    }
    assertEquals(plan, plan.fitted(0));
    assertTrue(plan.text(leanest / 2).contains("over the limit"), plan.text(leanest / 2));
    assertTrue(plan.text(leanest / 2).contains("--checkpointing"), plan.text(leanest / 2));
  }

  @Test
  void targetsFollowPeftsRules() {
    // Given
    BaseShape base = smol(BaseForm.F32);
    // When
    Map<ModuleId, Integer> byName =
        Targets.ranks(adapter(TrainMethod.LORA, "q_proj", "k_proj"), base);
    Map<ModuleId, Integer> byPattern =
        Targets.ranks(adapter(TrainMethod.LORA, "model\\.layers\\.[0-4]\\.mlp\\..*"), base);
    // Then
    assertEquals(60, byName.size());
    assertEquals(30 * (16 + 4), byName.values().stream().mapToInt(r -> r).sum());
    assertEquals(15, byPattern.size());
    assertThrows(
        IllegalArgumentException.class,
        () -> Targets.ranks(adapter(TrainMethod.LORA, "no_proj"), base));
  }

  @Test
  void largestSliceIsWholeSequencesUpToItsBound() {
    assertEquals(1024, DataShape.full(100, 512).largestSlice(4, 0, 1024));
    assertEquals(512, DataShape.full(100, 512).largestSlice(1, 0, 1024));
    assertEquals(900, DataShape.full(100, 300).largestSlice(8, 0, 1024));
    assertEquals(2000, DataShape.full(100, 2000).largestSlice(2, 0, 1024));
    int[] ragged = IntStream.range(0, 200).map(i -> 20 + i).toArray();
    int largest = new DataShape(ragged, 1, 0, Optional.empty()).largestSlice(4, 0, 1024);
    assertTrue(largest > 600 && largest <= 4 * 219, "largest " + largest);
  }

  @Test
  void mergeAwareRunTakesTheRoundedCopyAndTheTimeOfRounding() {
    // Given
    BaseShape base = smol(BaseForm.Q4_1);
    TrainPlan plain = plan(BaseForm.Q4_1, TrainMethod.LORA, 2);
    // When
    TrainPlan aware = plain.with(plain.shape().withRounded(BaseForm.NF4));
    // Then
    long copy = BaseForm.NF4.bytes(base.linearWeights());
    assertTrue(aware.peakBytes() > plain.peakBytes() + copy, aware.text(0));
    assertTrue(aware.text(0).contains("rounded to NF4"), aware.text(0));
    assertTrue(aware.seconds() > plain.seconds(), aware.text(0));
    assertEquals(plain.trainedParameters(), aware.trainedParameters());
  }

  @Test
  void tableOfASizeHasEveryPrecision() {
    // When
    String table = SizeTable.of("7b");
    // Then
    for (String form : List.of("FP32", "FP16", "Q8_0", "Q4_1", "Q4_0", "NF4")) {
      assertTrue(table.contains(form), table);
    }
    assertThrows(IllegalArgumentException.class, () -> SizeTable.of("seven"));
  }

  @Test
  void modelOfASizeHasAboutThatManyParameters() {
    for (String size : List.of("135M", "360M", "1.7B", "7B", "8B", "13B", "70B", "400B")) {
      // Given
      double wanted =
          Double.parseDouble(size.substring(0, size.length() - 1))
              * (size.endsWith("M") ? 1e6 : 1e9);
      // When
      double had = BaseShape.ofParameters(size, BaseForm.F32, BaseForm.F32).parameters();
      // Then
      assertEquals(1, had / wanted, 0.12, size);
    }
  }

  /**
   * A run of SmolLM2-135M and the peak that its process had (VmHWM), one AVX-512 machine.
   *
   * @param rows of the one micro-batch
   */
  private record Measured(
      BaseForm file,
      BaseForm linear,
      BaseForm table,
      int computeBytes,
      int rows,
      boolean checkpointing,
      boolean dropout,
      int peakMib) {}

  private static final List<Measured> MEASURED =
      List.of(
          new Measured(BaseForm.Q4_1, BaseForm.Q4_1, BaseForm.Q8_0, 4, 305, false, false, 1075),
          new Measured(BaseForm.F32, BaseForm.F32, BaseForm.F32, 4, 305, false, false, 1325),
          new Measured(BaseForm.Q4_1, BaseForm.Q4_1, BaseForm.Q8_0, 2, 817, false, false, 1108),
          new Measured(BaseForm.Q4_1, BaseForm.Q4_1, BaseForm.Q8_0, 4, 817, true, false, 1058),
          new Measured(BaseForm.F32, BaseForm.NF4, BaseForm.F32, 2, 512, false, true, 1351));

  @Test
  void predictionsAreWithinFifteenPercentOfMeasuredPeaks() {
    for (Measured m : MEASURED) {
      // Given
      BaseShape base =
          new BaseShape(
              "SmolLM2-135M",
              30,
              576,
              1536,
              9,
              576,
              192,
              49152,
              true,
              false,
              m.file,
              m.linear,
              m.table);
      AdapterSpec spec =
          new AdapterSpec(
              TrainMethod.LORA, 16, 32, 0, List.of("all-linear"), Map.of(), Map.of(), List.of());
      TrainShape shape =
          new TrainShape(
              TrainMethod.LORA,
              Targets.ranks(spec, base),
              0,
              m.dropout,
              m.computeBytes,
              m.checkpointing,
              256,
              false,
              false,
              1,
              1,
              m.rows,
              false,
              1,
              1,
              Optional.empty());
      // When
      long peak =
          TrainPlan.of(base, shape, DataShape.full(12, m.rows), MachineRate.assumed(m.computeBytes))
              .peakBytes();
      // Then
      assertEquals(1, (double) peak / (m.peakMib * MIB), 0.15, m.toString());
    }
  }
}
