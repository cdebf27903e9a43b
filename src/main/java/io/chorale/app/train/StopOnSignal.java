package io.chorale.app.train;

import io.chorale.train.Trainer;
import java.util.concurrent.CountDownLatch;

/**
 * Lets Ctrl-C or SIGTERM end a run after the step under way, with a checkpoint: the JVM's shutdown
 * waits until {@link #close}, then ends with exit code 130.
 */
final class StopOnSignal implements AutoCloseable {
  /** As shells report Ctrl-C. */
  static final int STOPPED = 130;

  private final CountDownLatch over = new CountDownLatch(1);
  private final Thread hook;

  StopOnSignal(Trainer trainer) {
    hook =
        new Thread(
            () -> {
              trainer.requestStop();
              try {
                over.await();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
              Runtime.getRuntime().halt(STOPPED);
            },
            "train-stop");
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /** The run is over and has said so. */
  @Override
  public void close() {
    over.countDown();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      return; // shutting down: the hook ends the process
    }
  }
}
