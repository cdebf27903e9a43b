package io.chorale.train.watch.verdict;

import io.chorale.train.watch.Smoothed;
import io.chorale.train.watch.TrainEvent;
import io.chorale.train.watch.TrainEvent.Evaluated;
import io.chorale.train.watch.TrainEvent.NotFinite;
import io.chorale.train.watch.TrainEvent.Started;
import io.chorale.train.watch.TrainEvent.Step;
import io.chorale.train.watch.Verdict;
import java.util.List;

/**
 * Passes verdicts on a run. Each kind is raised once when it begins and taken back once when it is
 * over, with bounds apart, so that a curve at a bound does not make it flap. Cost: a few sorts of
 * up to 200 numbers a step; from a quarter of the run on also means over all steps. One thread.
 */
public final class Verdicts {
  private final Bench bench = new Bench();
  private final LossJudge losses = new LossJudge(bench);
  private final EvalJudge evaluations = new EvalJudge(bench);
  private final SignalJudge signal;
  private Smoothed smoothed = Smoothed.ofRun(1);

  /**
   * @param memoryLimitBytes that the process may have; 0 if there is none to watch
   */
  public Verdicts(long memoryLimitBytes) {
    this.signal = new SignalJudge(bench, memoryLimitBytes);
  }

  /**
   * Takes one event in.
   *
   * @return what changed, mostly nothing
   */
  public List<Verdict> on(TrainEvent event) {
    if (event instanceof Started e) {
      bench.remedies(new Remedies(e.configuration()));
      losses.begin(e.totalSteps());
      smoothed = Smoothed.ofRun(e.totalSteps());
    } else if (event instanceof Step e) {
      signal.step(e);
      if (Double.isFinite(e.loss()) && e.trainedTokens() > 0) {
        smoothed.add(e.loss(), e.trainedTokens());
        losses.step(e.step(), e.loss(), e.epoch(), evaluations);
      }
    } else if (event instanceof Evaluated e) {
      if (Double.isFinite(e.loss())) {
        evaluations.evaluated(e.step(), e.loss(), smoothed.value());
      }
    } else if (event instanceof NotFinite e) {
      signal.notFinite(e);
    }
    return bench.readOut();
  }
}
