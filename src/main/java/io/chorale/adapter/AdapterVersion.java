package io.chorale.adapter;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * One published version and its count of holders: the registry's table while it is current, and
 * each open lease. The last one to let go runs {@code dropped}, exactly once. Any thread,
 * lock-free.
 */
final class AdapterVersion {
  private final AdapterInfo info;
  private final Runnable dropped;
  private final AtomicInteger holders = new AtomicInteger(1);

  AdapterVersion(AdapterInfo info, Runnable dropped) {
    this.info = info;
    this.dropped = dropped;
  }

  /** Adds a holder; false if the last one is gone, and then it never succeeds again. */
  boolean tryHold() {
    int now = holders.get();
    while (now > 0) {
      if (holders.compareAndSet(now, now + 1)) {
        return true;
      }
      now = holders.get();
    }
    return false;
  }

  void release() {
    if (holders.decrementAndGet() == 0) {
      dropped.run();
    }
  }

  AdapterInfo infoAtLoad() {
    return info;
  }

  /** For a current version: its holders less the table. */
  AdapterInfo infoNow() {
    return new AdapterInfo(
        info.name(),
        info.version(),
        info.adapterKey(),
        info.method(),
        info.rank(),
        info.targetModules(),
        info.bytes(),
        info.loadedAt(),
        Math.max(0, holders.get() - 1),
        info.sha256());
  }
}
