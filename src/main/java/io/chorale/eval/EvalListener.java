package io.chorale.eval;

/** Hears how far an evaluation is. Called often, on the thread that evaluates; must be quick. */
@FunctionalInterface
public interface EvalListener {
  /** Hears nothing. */
  EvalListener NONE = (what, done, total) -> {};

  /**
   * @param what is being done, such as {@code mmlu: answers}
   * @param done of {@code total} pieces of work
   */
  void at(String what, long done, long total);
}
