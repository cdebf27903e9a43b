package io.chorale.train;

import io.chorale.train.save.RunFacts;
import io.chorale.train.save.RunState;
import java.nio.file.Path;
import java.util.Optional;

/**
 * How a run ended.
 *
 * @param why "done", "early stopping" or "stopped"
 * @param checkpoint to resume from, if it was stopped
 * @param facts of the adapter that was written; empty if it was stopped
 */
public record TrainOutcome(
    RunState state, String why, Optional<Path> checkpoint, Optional<RunFacts> facts) {
  public boolean stopped() {
    return facts.isEmpty();
  }
}
