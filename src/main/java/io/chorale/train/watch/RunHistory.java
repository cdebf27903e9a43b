package io.chorale.train.watch;

import io.chorale.train.watch.TrainEvent.CheckpointSaved;
import io.chorale.train.watch.TrainEvent.Evaluated;
import io.chorale.train.watch.TrainEvent.Finished;
import io.chorale.train.watch.TrainEvent.Judged;
import io.chorale.train.watch.TrainEvent.NotFinite;
import io.chorale.train.watch.TrainEvent.Retained;
import io.chorale.train.watch.TrainEvent.Sample;
import io.chorale.train.watch.TrainEvent.Started;
import io.chorale.train.watch.TrainEvent.Step;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/**
 * What has happened in a run so far, resumed parts included. About 100 bytes a step. One thread.
 */
public final class RunHistory implements TrainListener {
  private final List<Started> starts = new ArrayList<>();
  private final List<Step> steps = new ArrayList<>();
  private final List<Retained> retained = new ArrayList<>();
  private final List<Evaluated> evaluations = new ArrayList<>();
  private final List<CheckpointSaved> checkpoints = new ArrayList<>();
  private final List<Sample> samples = new ArrayList<>();
  private final List<Verdict> verdicts = new ArrayList<>();
  private final List<NotFinite> notFinite = new ArrayList<>();
  private Finished finished;

  @Override
  public void on(TrainEvent event) {
    if (event instanceof Started e) {
      starts.add(e);
      finished = null;
    } else if (event instanceof Step e) {
      steps.add(e);
    } else if (event instanceof Retained e) {
      retained.add(e);
    } else if (event instanceof Evaluated e) {
      evaluations.add(e);
    } else if (event instanceof CheckpointSaved e) {
      checkpoints.add(e);
    } else if (event instanceof Sample e) {
      samples.add(e);
    } else if (event instanceof Judged e) {
      verdicts.add(e.verdict());
    } else if (event instanceof NotFinite e) {
      notFinite.add(e);
    } else if (event instanceof Finished e) {
      finished = e;
    }
  }

  /** The newest start: that of this process. */
  public Optional<Started> started() {
    return starts.isEmpty() ? Optional.empty() : Optional.of(starts.get(starts.size() - 1));
  }

  /** How often the run was taken up again. */
  public int resumptions() {
    return Math.max(0, starts.size() - 1);
  }

  public List<Step> steps() {
    return Collections.unmodifiableList(steps);
  }

  public Optional<Step> lastStep() {
    return steps.isEmpty() ? Optional.empty() : Optional.of(steps.get(steps.size() - 1));
  }

  /** Of each step; empty without {@code --retain-data}. */
  public List<Retained> retained() {
    return Collections.unmodifiableList(retained);
  }

  public List<Evaluated> evaluations() {
    return Collections.unmodifiableList(evaluations);
  }

  /** The evaluation with the lowest loss. */
  public Optional<Evaluated> bestEvaluation() {
    return evaluations.stream()
        .filter(e -> Double.isFinite(e.loss()))
        .min((a, b) -> Double.compare(a.loss(), b.loss()));
  }

  public List<CheckpointSaved> checkpoints() {
    return Collections.unmodifiableList(checkpoints);
  }

  public List<Sample> samples() {
    return Collections.unmodifiableList(samples);
  }

  /** In the order they were passed and taken back. */
  public List<Verdict> verdicts() {
    return Collections.unmodifiableList(verdicts);
  }

  public List<NotFinite> notFinite() {
    return Collections.unmodifiableList(notFinite);
  }

  /** Empty while the run goes on. */
  public Optional<Finished> finished() {
    return Optional.ofNullable(finished);
  }

  /** The highest resident memory that any event told of. */
  public long peakResidentBytes() {
    long peak = finished == null ? 0 : finished.peakResidentBytes();
    for (Step step : steps) {
      peak = Math.max(peak, step.residentBytes());
    }
    return peak;
  }
}
