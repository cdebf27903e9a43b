package io.chorale.lora;

import io.chorale.kernel.LoraTable;
import io.chorale.kernel.Ops;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/**
 * Adapters in the kernels' layout, ready before a step needs them. A thread of its own prepares
 * those that sequences wait for, one at a time, first come first served; what a slot gives up stays
 * here, least recently used out first, so that seating it again costs nothing.
 *
 * <p>An adapter is prepared while it is seated or a live sequence uses it. Beyond that {@code
 * cacheBytes} are kept, and no further adapter is begun while so many bytes wait for a slot.
 *
 * <p>Engine thread, but for the preparing itself, {@link #hasNews} and {@link #wakeBy}.
 */
public final class PreparedAdapters implements AutoCloseable {
  private static final Logger LOG = Logger.getLogger(PreparedAdapters.class);
  private static final int NO_SLOT = -1;

  /** A preparation that failed; the message names adapter and module. */
  public record Failure(int adapterKey, String message) {}

  private static final class Entry {
    final int key;
    int users;
    int slot = NO_SLOT;
    long lastUse;
    boolean asked; // in the queue or being prepared
    boolean retired;
    LoraTable.Prepared prepared;

    Entry(int key) {
      this.key = key;
    }

    boolean isIdle() {
      return prepared != null && slot == NO_SLOT;
    }
  }

  /** What the preparing thread hands over: one of the two is null. */
  private record Outcome(Entry entry, LoraTable.Prepared prepared, String failure) {}

  private final LoraSlots slots;
  private final LoraSource source;
  private final Supplier<Ops.ThreadBinding> binding;
  private final long cacheBytes;
  private final Map<Integer, Entry> entries = new HashMap<>();
  private final Entry[] bySlot;
  private final Deque<Entry> asked = new ArrayDeque<>();
  private final Queue<Outcome> outcomes = new ConcurrentLinkedQueue<>();
  private final ExecutorService preparer =
      Executors.newSingleThreadExecutor(
          task -> {
            Thread thread = new Thread(task, "chorale-adapters");
            thread.setDaemon(true);
            return thread;
          });
  private volatile Runnable wake = () -> {};
  private Entry preparing;
  private long idleBytes;
  private long clock;

  /**
   * @param slots owned from here on
   * @param binding what a thread needs to compute; opened and closed on the preparing thread
   * @param cacheBytes of prepared adapters that no slot and no sequence needs
   */
  public PreparedAdapters(
      LoraSlots slots, LoraSource source, Supplier<Ops.ThreadBinding> binding, long cacheBytes) {
    this.slots = slots;
    this.source = source;
    this.binding = binding;
    this.cacheBytes = cacheBytes;
    this.bySlot = new Entry[slots.table().slots()];
  }

  /** What to run when there is news; any thread runs it. */
  public void wakeBy(Runnable waker) {
    wake = waker;
  }

  public LoraTable table() {
    return slots.table();
  }

  /** A sequence that uses the adapter begins to wait; so its preparation begins. */
  public void use(int adapterKey) {
    Entry entry = entries.computeIfAbsent(adapterKey, Entry::new);
    entry.users++;
    ask(entry);
  }

  /** The sequence has ended. */
  public void leave(int adapterKey) {
    Entry entry = entries.get(adapterKey);
    if (entry == null || entry.users == 0) {
      return; // its preparation failed
    }
    entry.users--;
    entry.lastUse = ++clock;
    forgetIfEmpty(entry);
    trim();
    prepareNext();
  }

  /** The adapter can be seated now; else it is being prepared, or will be. */
  public boolean isReady(int adapterKey) {
    Entry entry = entries.computeIfAbsent(adapterKey, Entry::new);
    ask(entry);
    return entry.prepared != null;
  }

  /** Something is being prepared, so {@link #hasNews} will come. */
  public boolean isBusy() {
    return preparing != null;
  }

  /** {@link #takeNews} has something to do. Any thread. */
  public boolean hasNews() {
    return !outcomes.isEmpty();
  }

  /** Takes what was prepared, up to the next failure; null if there is none. */
  public Failure takeNews() {
    for (Outcome outcome = outcomes.poll(); outcome != null; outcome = outcomes.poll()) {
      Failure failure = take(outcome);
      prepareNext();
      if (failure != null) {
        return failure;
      }
    }
    return null;
  }

  private Failure take(Outcome outcome) {
    Entry entry = outcome.entry();
    preparing = null;
    entry.asked = false;
    if (outcome.prepared() == null) {
      entries.remove(entry.key, entry);
      return entry.retired ? null : new Failure(entry.key, outcome.failure());
    }
    if (entry.retired) {
      outcome.prepared().close();
      return null;
    }
    entry.prepared = outcome.prepared();
    entry.lastUse = ++clock;
    idleBytes += entry.prepared.bytes();
    trim();
    return null;
  }

  /** Puts an adapter that {@link #isReady} in a slot, in place of what it holds. Microseconds. */
  public void seat(int slot, int adapterKey) {
    Entry entry = entries.get(adapterKey);
    slots.seat(slot, entry.prepared);
    vacated(slot);
    idleBytes -= entry.prepared.bytes();
    entry.slot = slot;
    bySlot[slot] = entry;
    trim();
    prepareNext();
  }

  /** Empties a slot; its adapter stays prepared. */
  public void clear(int slot) {
    slots.clear(slot);
    vacated(slot);
    trim();
  }

  private void vacated(int slot) {
    Entry entry = bySlot[slot];
    if (entry != null) {
      bySlot[slot] = null;
      entry.slot = NO_SLOT;
      entry.lastUse = ++clock;
      idleBytes += entry.prepared.bytes();
    }
  }

  /** Frees what is held of an adapter that no sequence uses any more; its slot is empty. */
  public void retire(int adapterKey) {
    Entry entry = entries.remove(adapterKey);
    if (entry == null) {
      return;
    }
    entry.retired = true;
    asked.remove(entry);
    if (entry.slot != NO_SLOT) {
      clear(entry.slot);
    }
    if (entry.prepared != null) {
      drop(entry);
    }
    prepareNext();
  }

  /** Bytes of all prepared adapters, seated or not. */
  public long bytes() {
    return table().bytes() + idleBytes;
  }

  private void ask(Entry entry) {
    if (entry.prepared == null && !entry.asked) {
      entry.asked = true;
      asked.add(entry);
      prepareNext();
    }
  }

  private void prepareNext() {
    while (preparing == null && !asked.isEmpty()) {
      Entry entry = asked.peek();
      if (entry.users == 0) { // nobody waits any more
        asked.remove();
        entry.asked = false;
        forgetIfEmpty(entry);
      } else if (waitingBytes() > cacheBytes) {
        return; // a slot must take one of them first
      } else {
        asked.remove();
        preparing = entry;
        preparer.execute(() -> prepare(entry));
      }
    }
  }

  /** Preparing thread. */
  private void prepare(Entry entry) {
    long start = System.nanoTime();
    Outcome outcome;
    try (Ops.ThreadBinding bound = binding.get()) {
      LoraWeights weights = source.weights(entry.key);
      LoraTable.Prepared prepared = slots.prepare(weights);
      LOG.debugf(
          "adapter prepared name=%s bytes=%d took_ms=%d",
          weights.label(), prepared.bytes(), (System.nanoTime() - start) / 1_000_000);
      outcome = new Outcome(entry, prepared, null);
    } catch (RuntimeException | OutOfMemoryError e) {
      LOG.errorf(e, "adapter not prepared key=%d", entry.key);
      outcome = new Outcome(entry, null, String.valueOf(e.getMessage()));
    }
    outcomes.add(outcome);
    wake.run();
  }

  private long waitingBytes() {
    long sum = 0;
    for (Entry entry : entries.values()) {
      sum += entry.isIdle() && entry.users > 0 ? entry.prepared.bytes() : 0;
    }
    return sum;
  }

  private void trim() {
    while (idleBytes > cacheBytes) {
      Entry oldest = null;
      for (Entry entry : entries.values()) {
        boolean spare = entry.isIdle() && entry.users == 0;
        oldest = spare && (oldest == null || entry.lastUse < oldest.lastUse) ? entry : oldest;
      }
      if (oldest == null) {
        return;
      }
      drop(oldest);
      forgetIfEmpty(oldest);
    }
  }

  private void drop(Entry entry) {
    idleBytes -= entry.prepared.bytes();
    entry.prepared.close();
    entry.prepared = null;
  }

  private void forgetIfEmpty(Entry entry) {
    if (entry.users == 0 && entry.prepared == null && !entry.asked) {
      entries.remove(entry.key, entry);
    }
  }

  /** Waits for the preparation that runs, then frees everything. */
  @Override
  public void close() {
    preparer.shutdown();
    boolean interrupted = false;
    while (true) {
      try {
        if (preparer.awaitTermination(1, TimeUnit.SECONDS)) {
          break;
        }
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    for (Outcome outcome : outcomes) {
      if (outcome.prepared() != null) {
        outcome.prepared().close();
      }
    }
    slots.close();
    for (Entry entry : entries.values()) {
      if (entry.prepared != null) {
        entry.prepared.close();
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
