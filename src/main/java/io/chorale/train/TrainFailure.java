package io.chorale.train;

/** A run that cannot go on; what was saved before stays. The message is for people. */
public final class TrainFailure extends RuntimeException {
  private static final long serialVersionUID = 1L;

  TrainFailure(String message) {
    super(message);
  }
}
