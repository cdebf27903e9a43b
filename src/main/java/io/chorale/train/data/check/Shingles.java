package io.chorale.train.data.check;

import java.util.Arrays;

/**
 * A text as the set of its runs of {@value #WORDS} words, letters and digits only, case folded.
 *
 * @param hashes sorted, distinct 32-bit hashes of the runs; a shorter text is one run; empty if it
 *     has no word
 */
record Shingles(int[] hashes) {
  static final int WORDS = 3;

  static Shingles of(String text) {
    int[] words = new int[64];
    int count = 0;
    int hash = 0;
    boolean inside = false;
    for (int i = 0; i <= text.length(); ) {
      int c = i < text.length() ? text.codePointAt(i) : ' ';
      if (Character.isLetterOrDigit(c)) {
        hash = 31 * hash + Character.toLowerCase(c);
        inside = true;
      } else if (inside) {
        if (count == words.length) {
          words = Arrays.copyOf(words, 2 * count);
        }
        words[count++] = mix(hash);
        hash = 0;
        inside = false;
      }
      i += Character.charCount(c);
    }
    return new Shingles(runs(words, count));
  }

  private static int[] runs(int[] words, int count) {
    if (count == 0) {
      return new int[0];
    }
    int length = Math.min(WORDS, count);
    int[] runs = new int[count - length + 1];
    for (int i = 0; i < runs.length; i++) {
      int hash = 17;
      for (int j = i; j < i + length; j++) {
        hash = mix(hash * 0x9E3779B1 + words[j]);
      }
      runs[i] = hash;
    }
    Arrays.sort(runs);
    int distinct = 0;
    for (int i = 0; i < runs.length; i++) {
      if (i == 0 || runs[i] != runs[i - 1]) {
        runs[distinct++] = runs[i];
      }
    }
    return Arrays.copyOf(runs, distinct);
  }

  /** |A and B| / |A or B|, 0 if either is empty. */
  double jaccard(Shingles other) {
    int[] a = hashes;
    int[] b = other.hashes;
    int both = 0;
    for (int i = 0, j = 0; i < a.length && j < b.length; ) {
      int order = Integer.compare(a[i], b[j]);
      both += order == 0 ? 1 : 0;
      i += order <= 0 ? 1 : 0;
      j += order >= 0 ? 1 : 0;
    }
    int either = a.length + b.length - both;
    return a.length == 0 || b.length == 0 ? 0 : (double) both / either;
  }

  /** Finalizer of MurmurHash3. */
  static int mix(int h) {
    h ^= h >>> 16;
    h *= 0x85EBCA6B;
    h ^= h >>> 13;
    h *= 0xC2B2AE35;
    return h ^ h >>> 16;
  }
}
