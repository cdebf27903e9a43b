package io.chorale.sched;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;

/**
 * Which adapter sits in which loraSlot. A slot is empty, idle (its adapter is resident, no running
 * sequence uses it) or in use; the least recently used idle slot makes room for a new adapter.
 */
final class LoraSlotTable {
  static final int NO_LORA = -1;
  private static final int EMPTY = -1;

  private final int[] adapterKeys;
  private final int[] users;
  private final long[] lastUse; // 0: never, so empty slots are taken first
  private long clock;

  LoraSlotTable(int slots) {
    adapterKeys = new int[slots];
    Arrays.fill(adapterKeys, EMPTY);
    users = new int[slots];
    lastUse = new long[slots];
  }

  /** The slot of a resident adapter, or {@link #NO_LORA}. */
  int slotOf(int adapterKey) {
    for (int slot = 0; slot < adapterKeys.length; slot++) {
      if (adapterKeys[slot] == adapterKey) {
        return adapterKey == EMPTY ? NO_LORA : slot;
      }
    }
    return NO_LORA;
  }

  /** The adapter is resident, or a slot is not in use. */
  boolean canSeat(int adapterKey) {
    return slotOf(adapterKey) != NO_LORA || idleSlot() != NO_LORA;
  }

  /**
   * Adds a running sequence to the adapter's slot; the caller has asked {@link #canSeat}.
   *
   * @param seatings gets one more if the adapter was not resident
   */
  void seat(int adapterKey, List<Seating> seatings) {
    int slot = slotOf(adapterKey);
    if (slot == NO_LORA) {
      slot = idleSlot();
      adapterKeys[slot] = adapterKey;
      seatings.add(new Seating(adapterKey, slot));
    }
    users[slot]++;
    lastUse[slot] = ++clock;
  }

  /** Takes a running sequence away; the adapter stays resident. */
  void leave(int adapterKey) {
    int slot = slotOf(adapterKey);
    users[slot]--;
    lastUse[slot] = ++clock;
  }

  /** Empties the adapter's slot and returns it; {@link #NO_LORA} if it has none. */
  int vacate(int adapterKey) {
    int slot = slotOf(adapterKey);
    if (slot == NO_LORA) {
      return NO_LORA;
    }
    if (users[slot] > 0) {
      throw new IllegalStateException(
          "adapter %d: loraSlot %d has %d running sequences, wanted 0"
              .formatted(adapterKey, slot, users[slot]));
    }
    adapterKeys[slot] = EMPTY;
    lastUse[slot] = 0;
    return slot;
  }

  /** Adapters that these sequences need, ascending. */
  static List<Integer> keysOf(Collection<Sequence> sequences) {
    return sequences.stream()
        .filter(Sequence::hasAdapter)
        .map(Sequence::adapterKey)
        .distinct()
        .sorted()
        .toList();
  }

  List<Integer> residents() {
    List<Integer> keys = new ArrayList<>();
    for (int key : adapterKeys) {
      if (key != EMPTY) {
        keys.add(key);
      }
    }
    return keys;
  }

  /**
   * Checks the slots against the running sequences.
   *
   * @throws IllegalStateException naming the slot that is off
   */
  void check(List<Sequence> running) {
    int[] expected = new int[users.length];
    for (Sequence sequence : running) {
      if (sequence.hasAdapter()) {
        int slot = slotOf(sequence.adapterKey());
        if (slot == NO_LORA) {
          throw new IllegalStateException(
              "sequence %d runs with adapter %d, which has no loraSlot"
                  .formatted(sequence.id(), sequence.adapterKey()));
        }
        expected[slot]++;
      }
    }
    for (int slot = 0; slot < users.length; slot++) {
      if (users[slot] != expected[slot]) {
        throw new IllegalStateException(
            "loraSlot %d counts %d running sequences, there are %d"
                .formatted(slot, users[slot], expected[slot]));
      }
      if (adapterKeys[slot] != EMPTY && slotOf(adapterKeys[slot]) != slot) {
        throw new IllegalStateException(
            "adapter %d sits in two loraSlots, one is %d".formatted(adapterKeys[slot], slot));
      }
    }
  }

  private int idleSlot() {
    int oldest = NO_LORA;
    for (int slot = 0; slot < users.length; slot++) {
      if (users[slot] == 0 && (oldest == NO_LORA || lastUse[slot] < lastUse[oldest])) {
        oldest = slot;
      }
    }
    return oldest;
  }
}
