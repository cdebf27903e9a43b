package io.chorale.app.eval;

import io.chorale.eval.EvalException;
import io.chorale.eval.answer.AnswerTest;
import io.chorale.eval.report.Summary;
import io.chorale.eval.run.EvalTask;
import io.chorale.eval.score.Scorers;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The tests of a run, read before any model is loaded. */
final class PlannedTests {
  /**
   * A test and where it belongs.
   *
   * @param also of another domain
   * @param group it is told under, null for none
   */
  record Planned(EvalTask task, boolean also) {}

  private final AnswerTest.Options options;
  private final Scorers scorers;
  private final List<Planned> planned = new ArrayList<>();
  private final List<Summary.Group> groups = new ArrayList<>();

  PlannedTests(AnswerTest.Options options, Scorers scorers) {
    this.options = options;
    this.scorers = scorers;
  }

  void questions(Named file, boolean also) {
    add(AnswerTest.read(file.name(), Path.of(file.path()), options, scorers), also);
  }

  void also(String text) {
    questions(Named.of("--also", text), true);
  }

  private void add(EvalTask task, boolean also) {
    for (Planned each : planned) {
      if (each.task().name().equals(task.name())) {
        throw new EvalException(
            "two tests are called '%s'; NAME=FILE names them apart".formatted(task.name()));
      }
    }
    planned.add(new Planned(task, also));
  }

  boolean isEmpty() {
    return planned.isEmpty();
  }

  List<Planned> all() {
    return planned;
  }

  List<Summary.Group> groups() {
    return groups;
  }

  /** How code of the models is kept in, if it may run. */
  Optional<String> isolation() {
    return scorers.sandbox().map(sandbox -> sandbox.isolation());
  }
}
