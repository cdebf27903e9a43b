package io.chorale.app.eval;

import io.chorale.eval.EvalException;
import io.chorale.eval.answer.AnswerLoss;
import io.chorale.eval.answer.AnswerTest;
import io.chorale.eval.perplexity.PerplexityTest;
import io.chorale.eval.report.Summary;
import io.chorale.eval.run.EvalTask;
import io.chorale.eval.score.Scorers;
import io.chorale.eval.task.TaskFiles;
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
   */
  record Planned(EvalTask task, boolean also) {}

  /** Tests told as one, and where they belong. */
  record PlannedGroup(Summary.Group group, boolean also) {}

  /** How each kind of test is done. */
  record Options(
      AnswerTest.Options answers, PerplexityTest.Options texts, TaskFiles.Options choices) {}

  private final Options options;
  private final Scorers scorers;
  private final List<Planned> planned = new ArrayList<>();
  private final List<PlannedGroup> groups = new ArrayList<>();

  PlannedTests(Options options, Scorers scorers) {
    this.options = options;
    this.scorers = scorers;
  }

  void questions(String text) {
    questions(Named.of("--test", text), false);
  }

  private void questions(Named file, boolean also) {
    add(AnswerTest.read(file.name(), Path.of(file.path()), options.answers(), scorers), also);
  }

  void choices(String text) {
    choices(text, false);
  }

  private void choices(String text, boolean also) {
    TaskFiles.Loaded loaded = TaskFiles.read(text, options.choices());
    loaded.tasks().forEach(task -> add(task, also));
    loaded.groups().forEach(group -> groups.add(new PlannedGroup(group, also)));
  }

  void texts(String text) {
    texts(Named.of("--perplexity", text), false);
  }

  private void texts(Named file, boolean also) {
    add(PerplexityTest.read(file.name(), Path.of(file.path()), options.texts()), also);
  }

  void answerLoss(String text) {
    Named file = Named.of("--answer-loss", text);
    AnswerTest.Options answers = options.answers();
    add(
        AnswerLoss.read(file.name(), Path.of(file.path()), answers.shape(), answers.limit()),
        false);
  }

  /** A test of another domain; its ending says of which kind. */
  void also(String text) {
    Named file = Named.of("--also", text);
    if (file.path().endsWith(".jsonl") || file.path().endsWith(".json")) {
      questions(file, true);
    } else if (file.path().endsWith(".txt")) {
      texts(file, true);
    } else {
      choices(file.path(), true);
    }
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

  List<PlannedGroup> groups() {
    return groups;
  }

  /** How code of the models is kept in, if it may run. */
  Optional<String> isolation() {
    return scorers.sandbox().map(sandbox -> sandbox.isolation());
  }
}
