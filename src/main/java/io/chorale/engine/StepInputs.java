package io.chorale.engine;

import io.chorale.kernel.ForwardInputs;
import io.chorale.sched.ScheduledBatch;
import io.chorale.sched.ScheduledRows;
import io.chorale.sched.Sequence;
import java.util.function.Function;

/**
 * A batch's {@link ForwardInputs}, and what each logit row is for. Built and read within one step
 * on the engine thread.
 */
final class StepInputs {
  private final ForwardInputs inputs;
  private final ScheduledRows[] logitOwner;
  private final int[] sampleIndex;
  private final int samples;

  private StepInputs(
      ForwardInputs inputs, ScheduledRows[] logitOwner, int[] sampleIndex, int samples) {
    this.inputs = inputs;
    this.logitOwner = logitOwner;
    this.sampleIndex = sampleIndex;
    this.samples = samples;
  }

  static StepInputs of(
      ScheduledBatch batch, int blockTokens, Function<Sequence, Generation> generations) {
    int rows = batch.totalRows();
    int sequences = batch.rows().size();
    ForwardInputs in =
        new ForwardInputs(
            new int[rows],
            new int[rows],
            new int[rows],
            new int[sequences],
            new int[sequences],
            new int[sequences][],
            blockTokens,
            new int[countLogitRows(batch, generations)]);
    ScheduledRows[] owner = new ScheduledRows[in.logitRows().length];
    int[] sampleIndex = new int[owner.length];
    int row = 0;
    int logit = 0;
    int samples = 0;
    for (int s = 0; s < sequences; s++) {
      ScheduledRows scheduled = batch.rows().get(s);
      in.firstRow()[s] = row;
      in.rowCount()[s] = scheduled.count();
      in.blockTables()[s] = scheduled.blockTable();
      Generation generation = generations.apply(scheduled.sequence());
      for (int i = 0; i < scheduled.count(); i++, row++) {
        in.tokenIds()[row] = scheduled.sequence().token(scheduled.start() + i);
        in.positions()[row] = scheduled.start() + i;
        in.loraSlots()[row] = scheduled.loraSlot();
        boolean sampled = scheduled.samples() && i == scheduled.count() - 1;
        if (sampled || isScored(generation, scheduled.start() + i)) {
          in.logitRows()[logit] = row;
          owner[logit] = scheduled;
          sampleIndex[logit++] = sampled ? samples++ : -1;
        }
      }
    }
    return new StepInputs(in, owner, sampleIndex, samples);
  }

  private static int countLogitRows(
      ScheduledBatch batch, Function<Sequence, Generation> generations) {
    int count = 0;
    for (ScheduledRows rows : batch.rows()) {
      Generation generation = generations.apply(rows.sequence());
      for (int i = 0; i < rows.count(); i++) {
        boolean sampled = rows.samples() && i == rows.count() - 1;
        count += sampled || isScored(generation, rows.start() + i) ? 1 : 0;
      }
    }
    return count;
  }

  /** The row's logits say how likely the prompt's next token is, and that is asked for. */
  private static boolean isScored(Generation generation, int position) {
    return generation.promptLogprobs != null
        && generation.sequence.params().reportsPrompt(position + 1);
  }

  ForwardInputs inputs() {
    return inputs;
  }

  int samples() {
    return samples;
  }

  ScheduledRows rowsOf(int logitRow) {
    return logitOwner[logitRow];
  }

  int positionOf(int logitRow) {
    return inputs.positions()[inputs.logitRows()[logitRow]];
  }

  /** Index into the step's sampled tokens; -1 if the row is only scored. */
  int sampleOf(int logitRow) {
    return sampleIndex[logitRow];
  }
}
