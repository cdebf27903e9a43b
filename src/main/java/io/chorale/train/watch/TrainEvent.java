package io.chorale.train.watch;

import java.util.List;
import java.util.Map;

/** What a run tells those who watch it, in the order it happens. Values only; any thread. */
public sealed interface TrainEvent {
  /**
   * The run begins.
   *
   * @param name of the adapter
   * @param configuration every resolved flag by its name, in flag order
   * @param data numbers of the data: rows, dropped, truncated, tokens, trained tokens share, ...
   * @param trainableParameters counted
   * @param allParameters base and adapter
   * @param totalSteps optimizer steps
   * @param firstStep steps done before, 0 unless resumed
   * @param plannedPeakBytes predicted peak resident memory; 0 if not predicted
   */
  record Started(
      String name,
      Map<String, String> configuration,
      Map<String, String> data,
      long trainableParameters,
      long allParameters,
      int totalSteps,
      int firstStep,
      long plannedPeakBytes)
      implements TrainEvent {}

  /**
   * One optimizer step is done.
   *
   * @param step from 1
   * @param epoch fraction of epochs done
   * @param loss mean over the step's trained tokens, nats
   * @param learningRate that was used
   * @param gradNorm before clipping
   * @param tokens rows computed in this step, all of them real (nothing is padded)
   * @param trainedTokens of them, with a loss
   * @param stepMs wall time
   * @param residentBytes of the process now
   */
  record Step(
      int step,
      double epoch,
      double loss,
      double learningRate,
      double gradNorm,
      int tokens,
      int trainedTokens,
      double stepMs,
      long residentBytes)
      implements TrainEvent {}

  /**
   * How far a step's model was from its base on the rows of {@code --retain-data}.
   *
   * @param divergence mean KL(base || adapted), nats a token; of the values before the step
   */
  record Retained(int step, double divergence) implements TrainEvent {}

  /**
   * The held-out data was evaluated.
   *
   * @param loss mean over its trained tokens, nats
   * @param best lower than every one before
   */
  record Evaluated(int step, double epoch, double loss, boolean best, double ms)
      implements TrainEvent {}

  /** A checkpoint is whole and on disk. */
  record CheckpointSaved(int step, String path, double ms) implements TrainEvent {}

  /**
   * What the model answers to a prompt of the data, for the report.
   *
   * @param when "before" or "after"
   */
  record Sample(String when, String prompt, String wanted, String answer) implements TrainEvent {}

  /**
   * A loss or gradient was not finite; the run ends.
   *
   * @param sources "file:line" of the rows in the micro-batch that caused it
   */
  record NotFinite(int step, String what, List<String> sources) implements TrainEvent {}

  /** A verdict was passed or taken back; {@code verdict.Verdicts} says so, not the trainer. */
  record Judged(Verdict verdict) implements TrainEvent {}

  /**
   * The run is over.
   *
   * @param why "done", "early stopping", "stopped" or the failure's message
   */
  record Finished(int step, String why, double seconds, long peakResidentBytes, String out)
      implements TrainEvent {}
}
