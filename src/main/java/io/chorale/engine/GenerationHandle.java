package io.chorale.engine;

/** A submitted sequence. */
public interface GenerationHandle {
  /**
   * Ends the sequence at the next step boundary; its sink gets {@code finished(ABORT, ..)} unless
   * it has ended already. Any thread, never blocks, may be called twice.
   */
  void abort();
}
