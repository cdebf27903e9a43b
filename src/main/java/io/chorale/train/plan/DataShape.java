package io.chorale.train.plan;

import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Sizes of the data.
 *
 * @param lengths tokens of each row, after cutting
 * @param trainedShare of the tokens that the loss is taken over, 0 to 1
 * @param evaluated tokens that one evaluation goes over
 */
public record DataShape(int[] lengths, double trainedShare, long evaluated) {
  /** Equal rows, all of them trained on: what to assume without data. */
  public static DataShape full(int rows, int length) {
    int[] lengths = new int[rows];
    Arrays.fill(lengths, length);
    return new DataShape(lengths, 1, 0);
  }

  long tokens() {
    return Arrays.stream(lengths).asLongStream().sum();
  }

  int longest() {
    return Arrays.stream(lengths).max().orElse(1);
  }

  /** With rows cut to a length. */
  DataShape cutTo(int length) {
    int[] cut = Arrays.stream(lengths).map(l -> Math.min(l, length)).toArray();
    return new DataShape(cut, trainedShare, evaluated);
  }

  /**
   * The most rows that will go through the layers at once. The trainer puts whole sequences of a
   * micro-batch together up to {@code most} tokens; which ones meet is chance, so a thousand
   * micro-batches are drawn with a fixed seed.
   *
   * @param batchSize sequences of a micro-batch
   * @param filled if above 0, sequences are added up to so many tokens instead
   */
  int largestSlice(int batchSize, int filled, int most) {
    int largest = Math.min(most, longest());
    SplittableRandom random = new SplittableRandom(1);
    for (int draw = 0; draw < 1000 && lengths.length > 0; draw++) {
      int slice = 0;
      int batch = 0;
      for (int row = 0; filled > 0 ? batch < filled : row < batchSize; row++) {
        int length = lengths[random.nextInt(lengths.length)];
        batch += length;
        if (filled > 0 && batch > filled) {
          break;
        }
        slice = slice + length > most ? length : slice + length;
        largest = Math.max(largest, slice);
      }
    }
    return Math.max(largest, longest());
  }
}
