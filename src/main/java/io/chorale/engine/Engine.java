package io.chorale.engine;

import java.util.List;

/** The batched generator as everything outside sees it. All methods: any thread, never blocking. */
public interface Engine {

  /**
   * Queues all sequences or none.
   *
   * @return a handle per request, in order
   * @throws EngineBusyException if the queue has no room for all of them
   * @throws IllegalStateException if the engine has stopped
   */
  List<GenerationHandle> submit(List<GenerationRequest> requests) throws EngineBusyException;

  /**
   * Frees what the engine holds of an adapter version that has no lease any more: its loraSlot and
   * its prefix-cache blocks. Takes effect at the next step boundary.
   */
  void retire(int adapterKey);

  /**
   * A snapshot of a step boundary: the last one at which something began or ended, or 200 ms ago.
   */
  EngineStats stats();

  /** Longest prompt plus completion, in tokens. */
  int maxModelTokens();
}
