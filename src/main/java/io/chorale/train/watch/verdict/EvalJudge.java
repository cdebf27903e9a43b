package io.chorale.train.watch.verdict;

import io.chorale.train.watch.Verdict.Kind;

/**
 * Judges the held-out loss, which is always that of the same rows: overfitting. One evaluation that
 * is 2 % above the best could be chance, two in a row or one by 10 % are not, if meanwhile the
 * training loss went on falling.
 */
final class EvalJudge {
  private static final double WORSE = 0.02;
  private static final double FAR_WORSE = 0.10;
  private static final double FLAT = 0.005;

  private final Bench bench;
  private final Series losses = new Series();
  private final Series steps = new Series();
  private final Series trainLosses = new Series();
  private double best = Double.POSITIVE_INFINITY;
  private double trainAtBest;
  private int bestStep;
  private int worseInARow;

  EvalJudge(Bench bench) {
    this.bench = bench;
    bench.patience(Kind.OVERFITTING, 1, 1);
  }

  boolean any() {
    return losses.size() > 0;
  }

  /** By which share the best is below the first. */
  double fell() {
    return losses.size() < 2 ? 0 : (losses.median(0, 1) - best) / losses.median(0, 1);
  }

  /** Three or more, and all of them nearly the same. */
  boolean flat() {
    return losses.size() >= 3 && losses.max(0, losses.size()) < best * (1 + FLAT);
  }

  /** The newest is the best, by 1 % over what two thirds of the run had. */
  boolean stillFalling(int step) {
    int early = 0;
    while (early < steps.size() && steps.median(early, early + 1) <= step * 2 / 3.0) {
      early++;
    }
    return early > 0
        && early < losses.size()
        && losses.last() <= best
        && losses.last() < 0.99 * losses.median(early - 1, early);
  }

  /**
   * @param trainLoss smoothed, at this step
   */
  void evaluated(int step, double loss, double trainLoss) {
    losses.add(loss);
    steps.add(step);
    trainLosses.add(trainLoss);
    if (loss < best) {
      best = loss;
      bestStep = step;
      trainAtBest = trainLoss;
    }
    worseInARow = loss > best * (1 + WORSE) ? worseInARow + 1 : 0;
    boolean memorizing = trainLoss < trainAtBest;
    boolean bad = memorizing && (worseInARow >= 2 || loss > best * (1 + FAR_WORSE));
    boolean good = loss <= best * (1 + WORSE / 4);
    bench.observe(
        Kind.OVERFITTING,
        bad,
        good,
        step,
        Bench.evidence(
            "evalLoss", loss, "evalBest", best, "bestStep", bestStep, "trainLoss", trainLoss),
        "held-out loss rose to %.3f, it was %.3f at step %.0f, while the training loss fell to %.3f",
        "held-out loss is %.3f, its best %.3f");
  }
}
