package io.chorale.engine;

/** The bounded queue is full: try again later (HTTP 429). */
public final class EngineBusyException extends Exception {
  private static final long serialVersionUID = 1L;

  public EngineBusyException(int queued, int capacity) {
    super("%d requests are waiting, the queue holds %d; retry later".formatted(queued, capacity));
  }
}
