package io.chorale.adapter;

import java.time.Duration;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

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

  /**
   * Runs the work while no one else works on the name.
   *
   * @throws AdapterException BUSY if another load or removal of it takes longer than the wait
   */
  <T> T alone(String name, Supplier<T> work) {
    ReentrantLock lock = enter(name);
    try {
      if (!acquired(lock)) {
        throw new AdapterException(
            AdapterException.Code.BUSY,
            "adapter '%s' is being loaded or removed by another request; try again in a moment"
                .formatted(name));
      }
      try {
        return work.get();
      } finally {
        lock.unlock();
      }
    } finally {
      leave(name);
    }
  }

  private boolean acquired(ReentrantLock lock) {
    try {
      return lock.tryLock(wait.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  private ReentrantLock enter(String name) {
    return locks.compute(
            name,
            (key, old) -> {
              Counted entry = old == null ? new Counted() : old;
              entry.users++;
              return entry;
            })
        .lock;
  }

  int size() {
    return locks.size();
  }

  private void leave(String name) {
    locks.computeIfPresent(name, (key, entry) -> --entry.users == 0 ? null : entry);
  }
}
