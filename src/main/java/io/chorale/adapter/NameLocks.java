package io.chorale.adapter;

import java.time.Duration;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/** One lock per adapter name, there only while someone holds it or waits for it. Any thread. */
final class NameLocks {
  private static final class Counted {
    private final ReentrantLock lock = new ReentrantLock(true);
    private int users;
  }

  private final ConcurrentHashMap<String, Counted> locks = new ConcurrentHashMap<>();
  private final Duration wait;

  NameLocks(Duration wait) {
    this.wait = wait;
  }

  /** Held until closed, on the thread that took it. */
  interface Held extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * Waits for the name.
   *
   * @throws AdapterException BUSY if another load or removal of it takes longer than the wait
   */
  Held hold(String name) {
    Counted counted =
        locks.compute(
            name,
            (key, old) -> {
              Counted entry = old == null ? new Counted() : old;
              entry.users++;
              return entry;
            });
    boolean held = false;
    try {
      held = counted.lock.tryLock(wait.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      if (!held) {
        leave(name);
      }
    }
    if (!held) {
      throw new AdapterException(
          AdapterException.Code.BUSY,
          "adapter '%s' is being loaded or removed by another request; try again in a moment"
              .formatted(name));
    }
    return () -> {
      counted.lock.unlock();
      leave(name);
    };
  }

  int size() {
    return locks.size();
  }

  private void leave(String name) {
    locks.computeIfPresent(name, (key, entry) -> --entry.users == 0 ? null : entry);
  }
}
