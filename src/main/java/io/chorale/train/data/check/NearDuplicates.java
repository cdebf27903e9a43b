package io.chorale.train.data.check;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.SplittableRandom;

/**
 * Finds an earlier text that shares most of its shingles: MinHash of {@value #BANDS} bands of
 * {@value #ROWS} hashes proposes, the exact Jaccard similarity decides. So nothing is found that is
 * not similar; at similarity s a pair is missed with probability {@code (1 - s^6)^20}, 0.2 % at 0.8
 * and 1e-7 at 0.9.
 *
 * <p>Of candidates that share a band, the latest {@value #LOOKED_AT} are looked at. Memory a text:
 * 4 bytes a shingle and 80. One thread; {@link #signature} any. Source: Broder 1997.
 */
final class NearDuplicates {
  static final int BANDS = 20;
  static final int ROWS = 6;
  private static final int LOOKED_AT = 200;

  private static final int[] FACTORS = new int[BANDS * ROWS];
  private static final int[] TERMS = new int[BANDS * ROWS];

  static {
    SplittableRandom random = new SplittableRandom(0x5EED);
    for (int i = 0; i < FACTORS.length; i++) {
      FACTORS[i] = random.nextInt() | 1;
      TERMS[i] = random.nextInt();
    }
  }

  private final double threshold;
  private final List<Shingles> texts = new ArrayList<>();
  private int[] slots = filled(1 << 10); // open addressing; entry index, -1 is free
  private long[] keys = new long[slots.length];
  private int used;
  private int[] earlier = new int[BANDS * 256]; // entry of the same key before this one, or -1

  /**
   * @param threshold Jaccard similarity from which two texts are near duplicates, 0..1
   */
  NearDuplicates(double threshold) {
    this.threshold = threshold;
  }

  /** One 64-bit key a band. */
  static long[] signature(Shingles text) {
    long[] bands = new long[BANDS];
    for (int band = 0; band < BANDS; band++) {
      long key = band + 1;
      for (int row = 0; row < ROWS; row++) {
        int factor = FACTORS[band * ROWS + row];
        int term = TERMS[band * ROWS + row];
        int least = Integer.MAX_VALUE;
        for (int hash : text.hashes()) {
          int mixed = (hash ^ term) * factor;
          mixed ^= mixed >>> 15;
          least = Math.min(least, mixed * factor);
        }
        key = (key ^ least) * 0x9E3779B97F4A7C15L;
        key ^= key >>> 29;
      }
      bands[band] = key;
    }
    return bands;
  }

  /**
   * @return index of the latest similar text that was added, in order of adding
   */
  OptionalInt find(Shingles text, long[] signature) {
    if (text.hashes().length == 0) {
      return OptionalInt.empty();
    }
    for (long key : signature) {
      int slot = slot(key);
      int looked = 0;
      for (int entry = slots[slot]; entry >= 0 && looked < LOOKED_AT; entry = earlier[entry]) {
        looked++;
        if (texts.get(entry / BANDS).jaccard(text) >= threshold) {
          return OptionalInt.of(entry / BANDS);
        }
      }
    }
    return OptionalInt.empty();
  }

  /** Exact Jaccard similarity to a text that was added. */
  double similarity(int index, Shingles text) {
    return texts.get(index).jaccard(text);
  }

  /**
   * @return the text's index
   */
  int add(Shingles text, long[] signature) {
    int index = texts.size();
    texts.add(text);
    int last = (index + 1) * BANDS;
    if (last > earlier.length) {
      earlier = Arrays.copyOf(earlier, 2 * earlier.length);
    }
    for (int band = 0; band < BANDS; band++) {
      if (2 * used >= slots.length) {
        grow();
      }
      int slot = slot(signature[band]);
      int entry = index * BANDS + band;
      used += slots[slot] < 0 ? 1 : 0;
      earlier[entry] = slots[slot];
      slots[slot] = entry;
      keys[slot] = signature[band];
    }
    return index;
  }

  private int slot(long key) {
    int mask = slots.length - 1;
    int slot = (int) (key >>> 20) & mask;
    while (slots[slot] >= 0 && keys[slot] != key) {
      slot = slot + 1 & mask;
    }
    return slot;
  }

  private void grow() {
    int[] oldSlots = slots;
    long[] oldKeys = keys;
    slots = filled(2 * oldSlots.length);
    keys = new long[slots.length];
    for (int i = 0; i < oldSlots.length; i++) {
      if (oldSlots[i] >= 0) {
        int slot = slot(oldKeys[i]);
        slots[slot] = oldSlots[i];
        keys[slot] = oldKeys[i];
      }
    }
  }

  private static int[] filled(int size) {
    int[] free = new int[size];
    Arrays.fill(free, -1);
    return free;
  }
}
