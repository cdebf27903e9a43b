package io.chorale.train.watch.verdict;

import io.chorale.train.watch.Verdict.Kind;
import java.util.Map;

/**
 * Judges the training loss: diverging, not converging, underfitting. A step's loss is that of other
 * rows than the last one's, so every bound is in units of the noise from step to step, measured
 * from the curve itself.
 */
final class LossJudge {
  /** Standard error of a median over that of a mean. */
  private static final double MEDIAN_ERROR = 1.2533;

  /** Below this loss there is nothing left to learn. */
  private static final double LEARNT = 0.1;

  private final Bench bench;
  private final Series losses = new Series();
  private int totalSteps = 1;
  private double best = Double.POSITIVE_INFINITY;
  private int bestStep;

  LossJudge(Bench bench) {
    this.bench = bench;
  }

  void begin(int totalSteps) {
    this.totalSteps = Math.max(1, totalSteps);
    int window = window();
    bench.patience(Kind.DIVERGING, Math.max(3, window / 3), window);
    bench.patience(Kind.NOT_CONVERGING, 5, 5);
  }

  private int window() {
    return Math.max(8, Math.min(50, totalSteps / 20));
  }

  void step(int step, double loss, double epoch, EvalJudge evals) {
    losses.add(loss);
    diverging(step);
    if (!bench.on(Kind.DIVERGING)) {
      notConverging(step, evals);
      underfitting(step, epoch, evals);
    }
  }

  /**
   * The median of the last window lies above the lowest such median by more than seven of its
   * standard errors (and 15 %); or above whatever the first three steps had, by four standard
   * deviations of one step (at least 1 nat), which also tells a run that was lost at once.
   */
  private void diverging(int step) {
    int window = window();
    int n = losses.size();
    if (n < window) {
      return;
    }
    double now = losses.median(n - window, n);
    if (now < best) {
      best = now;
      bestStep = step;
    }
    double noise = losses.noise(n - 200, n);
    double fromBest = Math.max(0.15 * best + 0.15, 7 * MEDIAN_ERROR * noise / Math.sqrt(window));
    double start = losses.max(0, 3);
    double fromStart = Math.max(1, 4 * losses.noise(0, n));
    boolean bad = now > best + fromBest || now > start + fromStart;
    boolean good = now < best + fromBest / 2 && now < start + fromStart / 2;
    Map<String, Double> evidence =
        Bench.evidence("lossNow", now, "lossBest", best, "bestStep", bestStep, "lossStart", start);
    bench.observe(
        Kind.DIVERGING,
        bad,
        good,
        step,
        evidence,
        "the loss is %.3f (median of the last steps); it was %.3f at step %.0f and at most %.3f at the start",
        "the loss is back at %.3f (best %.3f)");
  }

  /** Means of the first and of the last third of all steps; their difference, and its error. */
  private record Change(double before, double after, double error) {}

  private Change change(int from, int middle, int end, int count) {
    double noise = losses.noise(0, losses.size());
    return new Change(
        losses.mean(from, middle), losses.mean(end - count, end), noise * Math.sqrt(2.0 / count));
  }

  /**
   * The last third's mean is not below the first's by even 2 %, and the noise is small enough to
   * say so; or three or more evaluations, which have no such noise, all agree within 0.5 %.
   */
  private void notConverging(int step, EvalJudge evals) {
    int n = losses.size();
    if (n < Math.max(40, totalSteps / 4) || n % (1 + n / 500) != 0) {
      return; // means over all steps are not for every step of a long run
    }
    int third = n / 3;
    Change c = change(0, third, n, third);
    double fell = c.before - c.after;
    double evalFell = evals.fell();
    boolean flat = fell + 2 * c.error < 0.02 * c.before;
    boolean flatEval = evals.flat() && fell < 1.5 * c.error;
    boolean bad = c.before > LEARNT && !(evalFell > 0.01) && (flat || flatEval);
    boolean good = fell - 2 * c.error > 0.02 * c.before || evalFell > 0.01;
    bench.observe(
        Kind.NOT_CONVERGING,
        bad,
        good,
        step,
        Bench.evidence("lossFirstThird", c.before, "lossLastThird", c.after, "error", c.error),
        "the loss was %.3f in the first third of the steps and is %.3f in the last (error %.3f)",
        "the loss fell from %.3f to %.3f");
  }

  /**
   * At the last step the loss still falls clearly, and where it can be told, held-out loss with it:
   * the run stops too early.
   */
  private void underfitting(int step, double epoch, EvalJudge evals) {
    int n = losses.size();
    if (step < totalSteps || n < 40) {
      return;
    }
    int third = n / 3;
    Change c = change(n - 2 * third, n - third, n, third);
    boolean falling = c.before - c.after - 3 * c.error > 0.03 * c.before;
    // A later epoch's training loss also falls because rows are known by then.
    boolean generalises = evals.any() ? evals.stillFalling(step) : epoch <= 1.05;
    bench.observe(
        Kind.UNDERFITTING,
        falling && generalises && c.after > LEARNT,
        false,
        step,
        Bench.evidence("lossMiddleThird", c.before, "lossLastThird", c.after, "step", step),
        "the loss still falls at the end: %.3f in the middle third, %.3f in the last, step %.0f",
        "");
  }
}
