package io.chorale.train.plan;

import io.chorale.train.model.AdapterSpec;
import io.chorale.train.model.TrainMethod;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a model of a size takes in each precision: to keep its weights, to train an adapter of rank
 * 16 over it, to train all of it.
 */
public final class SizeTable {
  private static final int LENGTH = 512;

  private SizeTable() {}

  /**
   * @param parameters such as {@code 7B}
   * @throws IllegalArgumentException if that is no size
   */
  public static String of(String parameters) {
    StringBuilder text = new StringBuilder();
    BaseShape first = BaseShape.ofParameters(parameters, BaseForm.F32, BaseForm.F32);
    text.append(
        PlanText.format(
            "%s, about %,d parameters: %d layers, hidden %d, vocabulary %,d%n",
            first.name(), first.parameters(), first.layers(), first.hidden(), first.vocab()));
    text.append(
        PlanText.format(
            "  %-22s %12s %24s %14s%n", "weights in", "weights", "LoRA r=16, 1 x 512", "full"));
    for (Row row : ROWS) {
      BaseShape base = BaseShape.ofParameters(parameters, row.form, row.form);
      long weights =
          base.linear().bytes(base.linearWeights())
              + base.embedding().bytes(base.embeddingWeights());
      text.append(
          PlanText.format(
              "  %-22s %12s %24s %14s%n",
              row.label,
              PlanText.bytes(weights),
              PlanText.bytes(plan(base, row, TrainMethod.LORA).peakBytes()),
              row.form.isFloat()
                  ? PlanText.bytes(plan(base, row, TrainMethod.FULL).peakBytes())
                  : "-"));
    }
    return text.append(
            "with checkpointing, 8-bit optimizer state, micro-batches of one row; resident memory\n")
        .toString();
  }

  private record Row(String label, BaseForm form, int computeBytes) {}

  private static final List<Row> ROWS =
      List.of(
          new Row("FP32", BaseForm.F32, 4),
          new Row("FP16 (bf16)", BaseForm.BF16, 2),
          new Row("8-bit (Q8_0)", BaseForm.Q8_0, 2),
          new Row("4-bit (Q4_1)", BaseForm.Q4_1, 2),
          new Row("4-bit (Q4_0)", BaseForm.Q4_0, 2),
          new Row("4-bit (NF4)", BaseForm.NF4, 2),
          new Row("4-bit (NF4, DQ)", BaseForm.NF4_DQ, 2));

  private static TrainPlan plan(BaseShape base, Row row, TrainMethod method) {
    AdapterSpec adapter =
        new AdapterSpec(method, 16, 32, 0, List.of("all-linear"), Map.of(), Map.of(), List.of());
    TrainShape shape =
        new TrainShape(
            method,
            Targets.ranks(adapter, base),
            0,
            false,
            row.computeBytes,
            true,
            256,
            true,
            false,
            1,
            16,
            LENGTH,
            false,
            1,
            0,
            Optional.empty());
    return TrainPlan.of(
        base, shape, DataShape.full(16, LENGTH), MachineRate.assumed(row.computeBytes));
  }
}
