package io.chorale.app;

import org.jboss.logging.Logger;

/** Says how far the weights are every two seconds. Main thread. */
final class LoadProgress {
  private static final Logger LOG = Logger.getLogger(LoadProgress.class);
  private static final long EVERY_NANOS = 2_000_000_000L;

  private final int layers;
  private long lastNanos = System.nanoTime();

  LoadProgress(int layers) {
    this.layers = layers;
  }

  void layerDone(int done) {
    long now = System.nanoTime();
    if (now - lastNanos >= EVERY_NANOS && done < layers) {
      LOG.infof("loading weights layers=%d/%d", done, layers);
      lastNanos = now;
    }
  }
}
