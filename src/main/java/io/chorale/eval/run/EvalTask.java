package io.chorale.eval.run;

import io.chorale.eval.EvalListener;
import io.chorale.eval.TaskResult;
import java.util.List;

/** One test. Immutable; reads its files when it is made, so that a bad file stops the run early. */
public interface EvalTask {
  String name();

  /** What the model is asked, one per document, for the check against training data. */
  List<Question> questions();

  /** Runs all candidates of the engine at once. */
  TaskResult run(EvalEngine engine, EvalListener listener);

  /**
   * A document as the check against training data sees it.
   *
   * @param place file and line
   * @param text the question alone, without instructions that all documents share
   */
  record Question(String place, String text) {}
}
