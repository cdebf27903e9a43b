package io.chorale.train;

import io.chorale.train.data.SftExample;
import io.chorale.train.model.TrainableCausalLm;
import io.chorale.train.watch.TrainEvent;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.Function;

/**
 * What the model answers to the first rows of the data, token by token without sampling; the whole
 * prompt is computed anew for each, so answers are kept short.
 */
final class SampleAnswers {
  private static final int ANSWER_TOKENS = 24;
  private static final int PROMPT_TOKENS = 256;

  private final TrainableCausalLm model;
  private final List<SftExample> rows;
  private final TrainSetup.Over base;

  SampleAnswers(TrainableCausalLm model, List<SftExample> rows, TrainSetup.Over base) {
    this.model = model;
    this.rows = rows;
    this.base = base;
  }

  /**
   * @param when "before" or "after"
   */
  List<TrainEvent.Sample> answer(String when, int count) {
    return rows.stream()
        .filter(row -> answerStart(row) > 0 && answerStart(row) <= PROMPT_TOKENS)
        .limit(count)
        .map(row -> answer(when, row))
        .toList();
  }

  private TrainEvent.Sample answer(String when, SftExample row) {
    int start = answerStart(row);
    int end = start;
    while (end < row.ids().length && row.labels()[end] != SftExample.IGNORE_INDEX) {
      end++;
    }
    Function<int[], String> decode = base.decode();
    return new TrainEvent.Sample(
        when,
        decode.apply(Arrays.copyOf(row.ids(), start)),
        decode.apply(Arrays.copyOfRange(row.ids(), start, end)),
        decode.apply(generate(Arrays.copyOf(row.ids(), start), base.endTokenIds())));
  }

  /** Index of the first trained token after the first, 0 if all are trained. */
  private static int answerStart(SftExample row) {
    int start = 1;
    while (start < row.labels().length && row.labels()[start] == SftExample.IGNORE_INDEX) {
      start++;
    }
    return start == 1 || start == row.labels().length ? 0 : start;
  }

  private int[] generate(int[] prompt, Set<Integer> ends) {
    int[] ids = prompt;
    for (int i = 0; i < ANSWER_TOKENS; i++) {
      int next = largest(model.logits(ids));
      if (ends.contains(next)) {
        break;
      }
      ids = Arrays.copyOf(ids, ids.length + 1);
      ids[ids.length - 1] = next;
    }
    return Arrays.copyOfRange(ids, prompt.length, ids.length);
  }

  private static int largest(float[] logits) {
    int best = 0;
    for (int i = 1; i < logits.length; i++) {
      best = logits[i] > logits[best] ? i : best;
    }
    return best;
  }
}
