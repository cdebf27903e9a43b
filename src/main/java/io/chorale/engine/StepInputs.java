package io.chorale.engine;

import io.chorale.kernel.ForwardInputs;
import io.chorale.sched.ScheduledBatch;
import io.chorale.sched.ScheduledRows;
import io.chorale.sched.Sequence;
import java.util.function.Function;

/**
 * A batch's {@link ForwardInputs}, and what each logit row is for. Filled and read within one step
 * on the engine thread; a step of the last one's shape takes over its arrays.
 */
final class StepInputs {
  private ForwardInputs inputs;
  private ScheduledRows[] logitOwner;
  private int[] sampleIndex;
  private int samples;

  void fill(ScheduledBatch batch, int blockTokens, Function<Sequence, Generation> generations) {
    int rows = batch.totalRows();
    int sequences = batch.rows().size();
    makeRoom(rows, sequences, countLogitRows(batch, generations), blockTokens);
    int row = 0;
    int logit = 0;
    samples = 0;
    for (int s = 0; s < sequences; s++) {
      ScheduledRows scheduled = batch.rows().get(s);
      inputs.firstRow()[s] = row;
      inputs.rowCount()[s] = scheduled.count();
      inputs.blockTables()[s] = scheduled.blockTable();
      Generation generation = generations.apply(scheduled.sequence());
      for (int i = 0; i < scheduled.count(); i++, row++) {
        inputs.tokenIds()[row] = scheduled.sequence().stepToken(scheduled.start() + i);
        inputs.positions()[row] = scheduled.start() + i;
        inputs.loraSlots()[row] = scheduled.loraSlot();
        boolean sampled = i >= scheduled.count() - scheduled.samplingRows();
        if (sampled || isScored(generation, scheduled.start() + i)) {
          inputs.logitRows()[logit] = row;
          logitOwner[logit] = scheduled;
          sampleIndex[logit++] = sampled ? samples++ : -1;
        }
      }
    }
  }

  private void makeRoom(int rows, int sequences, int logits, int blockTokens) {
    if (inputs != null
        && inputs.rows() == rows
        && inputs.sequences() == sequences
        && logitOwner.length == logits) {
      return;
    }
    inputs =
        new ForwardInputs(
            new int[rows],
            new int[rows],
            new int[rows],
            new int[sequences],
            new int[sequences],
            new int[sequences][],
            blockTokens,
            new int[logits]);
    logitOwner = new ScheduledRows[logits];
    sampleIndex = new int[logits];
  }

  private static int countLogitRows(
      ScheduledBatch batch, Function<Sequence, Generation> generations) {
    int count = 0;
    for (int s = 0; s < batch.rows().size(); s++) {
      ScheduledRows rows = batch.rows().get(s);
      Generation generation = generations.apply(rows.sequence());
      if (generation.promptLogprobs == null) {
        count += rows.samplingRows();
        continue;
      }
      for (int i = 0; i < rows.count(); i++) {
        boolean sampled = i >= rows.count() - rows.samplingRows();
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

  /** Index into the step's cells for sampled tokens; -1 if the row is only scored. */
  int sampleOf(int logitRow) {
    return sampleIndex[logitRow];
  }
}
