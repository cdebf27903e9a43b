package io.chorale.eval.task;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * CPython's {@code random.Random(seed)}, as far as the harness draws few-shot examples with it: the
 * Mersenne twister MT19937 (Matsumoto and Nishimura 1998) seeded by {@code init_by_array}, and
 * {@code sample}. One thread.
 */
final class PythonRandom {
  private static final int N = 624;
  private static final int M = 397;

  private final int[] state = new int[N];
  private int at = N;

  /**
   * @param seed its absolute value counts, as in Python
   */
  PythonRandom(long seed) {
    long positive = Math.abs(seed);
    int low = (int) positive;
    int high = (int) (positive >>> 32);
    seedBy(high == 0 ? new int[] {low} : new int[] {low, high});
  }

  private void seedBy(int[] key) {
    state[0] = 19650218;
    for (int i = 1; i < N; i++) {
      state[i] = 1812433253 * mixed(i - 1) + i;
    }
    int i = 1;
    int j = 0;
    for (int k = Math.max(N, key.length); k > 0; k--) {
      state[i] = (state[i] ^ mixed(i - 1) * 1664525) + key[j] + j;
      j = (j + 1) % key.length;
      i = next(i);
    }
    for (int k = N - 1; k > 0; k--) {
      state[i] = (state[i] ^ mixed(i - 1) * 1566083941) - i;
      i = next(i);
    }
    state[0] = 0x80000000;
  }

  private int mixed(int i) {
    return state[i] ^ state[i] >>> 30;
  }

  private int next(int i) {
    if (i + 1 < N) {
      return i + 1;
    }
    state[0] = state[N - 1];
    return 1;
  }

  /** 32 random bits. */
  int bits32() {
    if (at >= N) {
      twist();
    }
    int y = state[at++];
    y ^= y >>> 11;
    y ^= y << 7 & 0x9d2c5680;
    y ^= y << 15 & 0xefc60000;
    return y ^ y >>> 18;
  }

  private void twist() {
    for (int k = 0; k < N; k++) {
      int y = state[k] & 0x80000000 | state[(k + 1) % N] & 0x7fffffff;
      state[k] = state[(k + M) % N] ^ y >>> 1 ^ ((y & 1) == 0 ? 0 : 0x9908b0df);
    }
    at = 0;
  }

  /** {@code _randbelow}: uniform in 0 .. n-1, n at least 1. */
  private int below(int n) {
    int bits = 32 - Integer.numberOfLeadingZeros(n);
    int drawn = bits32() >>> 32 - bits;
    while (drawn >= n) {
      drawn = bits32() >>> 32 - bits;
    }
    return drawn;
  }

  /**
   * {@code random.sample}: {@code count} items in the order in which they were drawn.
   *
   * @throws IllegalArgumentException if there are fewer items
   */
  <T> List<T> sample(List<T> items, int count) {
    int n = items.size();
    if (count > n) {
      throw new IllegalArgumentException("%d examples wanted, %d are there".formatted(count, n));
    }
    List<T> out = new ArrayList<>(count);
    int setSize = 21;
    if (count > 5) {
      setSize += (int) Math.pow(4, Math.ceil(Math.log(count * 3.0) / Math.log(4)));
    }
    if (n <= setSize) {
      List<T> pool = new ArrayList<>(items);
      for (int i = 0; i < count; i++) {
        int j = below(n - i);
        out.add(pool.get(j));
        pool.set(j, pool.get(n - i - 1));
      }
      return out;
    }
    Set<Integer> selected = new HashSet<>();
    for (int i = 0; i < count; i++) {
      int j = below(n);
      while (!selected.add(j)) {
        j = below(n);
      }
      out.add(items.get(j));
    }
    return out;
  }
}
