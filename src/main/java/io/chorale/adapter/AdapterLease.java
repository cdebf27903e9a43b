package io.chorale.adapter;

import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Holds one version for one request: while it is open the version's weights stay and the engine may
 * seat them, whatever is registered or removed meanwhile. Any thread; never blocks.
 */
public final class AdapterLease implements AutoCloseable {
  private final AdapterRef ref;
  private final int adapterKey;
  private final Runnable release;
  private final AtomicBoolean closed = new AtomicBoolean();

  AdapterLease(AdapterRef ref, int adapterKey, Runnable release) {
    this.ref = ref;
    this.adapterKey = adapterKey;
    this.release = release;
  }

  public AdapterRef ref() {
    return ref;
  }

  public int adapterKey() {
    return adapterKey;
  }

  /** Gives the version back; a second call does nothing. */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      release.run();
    }
  }
}
