package io.chorale.train.save;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * Where a run stands after a step; with the parameters and the optimizer's state this is all that
 * the rest follows from, since order and dropout follow from the seed and the position.
 *
 * @param step optimizer steps done
 * @param epoch of the next step, from 0
 * @param index of the next step in its epoch
 * @param bestLoss of the evaluations, null before the first
 * @param bestStep step of that evaluation
 * @param sinceBest evaluations since then
 * @param tokens computed so far
 * @param trainedTokens of them, with a loss
 * @param seconds spent so far
 * @param lastLoss mean over the last step's trained tokens
 * @param lossBefore on held-out data before the first step, null without
 */
@JsonInclude(JsonInclude.Include.ALWAYS)
public record RunState(
    int step,
    int epoch,
    int index,
    Double bestLoss,
    int bestStep,
    int sinceBest,
    long tokens,
    long trainedTokens,
    double seconds,
    double lastLoss,
    Double lossBefore) {

  public static final RunState START = new RunState(0, 0, 0, null, 0, 0, 0, 0, 0, 0, null);

  /** With the held-out loss before the first step. */
  public RunState startingFrom(double heldOutLoss) {
    return new RunState(0, 0, 0, null, 0, 0, 0, 0, 0, 0, heldOutLoss);
  }

  /** One step further. */
  public RunState next(
      int stepsInEpoch, int moreTokens, int moreTrained, double moreSeconds, double loss) {
    boolean over = index + 1 >= stepsInEpoch;
    return new RunState(
        step + 1,
        over ? epoch + 1 : epoch,
        over ? 0 : index + 1,
        bestLoss,
        bestStep,
        sinceBest,
        tokens + moreTokens,
        trainedTokens + moreTrained,
        seconds + moreSeconds,
        loss,
        lossBefore);
  }

  public boolean better(double loss) {
    return Double.isFinite(loss) && (bestLoss == null || loss < bestLoss);
  }

  /** After an evaluation. */
  public RunState evaluated(double loss) {
    boolean best = better(loss);
    return new RunState(
        step,
        epoch,
        index,
        best ? Double.valueOf(loss) : bestLoss,
        best ? step : bestStep,
        best ? 0 : sinceBest + 1,
        tokens,
        trainedTokens,
        seconds,
        lastLoss,
        lossBefore);
  }

  /** Each key that differs: {@code lr was 2.0E-4, is 0.001}. */
  static List<String> differences(Map<String, String> was, Map<String, String> is) {
    List<String> found = new ArrayList<>();
    TreeSet<String> keys = new TreeSet<>(was.keySet());
    keys.addAll(is.keySet());
    for (String key : keys) {
      String before = was.getOrDefault(key, "(absent)");
      String now = is.getOrDefault(key, "(absent)");
      if (!before.equals(now)) {
        found.add("%s was %s, is %s".formatted(key, before, now));
      }
    }
    return found;
  }
}
