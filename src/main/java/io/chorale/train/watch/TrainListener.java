package io.chorale.train.watch;

/** Takes a run's events, on the trainer's thread, which waits: be quick, and do not throw. */
@FunctionalInterface
public interface TrainListener {
  void on(TrainEvent event);
}
