package io.chorale.engine;

import java.util.List;

/** What other threads ask of the engine thread; taken from the inbox between two steps. */
sealed interface EngineCommand {
  record Submit(List<Generation> generations) implements EngineCommand {}

  record Abort(Generation generation) implements EngineCommand {}

  record Retire(int adapterKey) implements EngineCommand {}

  /** End the thread: running sequences are aborted. */
  record Stop() implements EngineCommand {}
}
