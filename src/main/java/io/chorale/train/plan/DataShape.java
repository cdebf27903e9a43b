package io.chorale.train.plan;

import java.util.Arrays;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * Sizes of the data.
 *
 * @param lengths tokens of each row, after cutting
 * @param trainedShare of the tokens that the loss is taken over, 0 to 1
 * @param evaluated tokens that one evaluation goes over
 * @param retained what each step is held to the base on
 */
public record DataShape(
    int[] lengths, double trainedShare, long evaluated, Optional<Retained> retained) {

  /**
   * Rows of {@code --retain-data}.
   *
   * @param lengths tokens of each, after cutting
   * @param batchSize of them in each step
   */
  public record Retained(int[] lengths, int batchSize) {
    DataShape asData() {
      return new DataShape(lengths, 1, 0, Optional.empty());
    }

    /** Those of a step. */
    double tokens() {
      return Arrays.stream(lengths).average().orElse(0) * Math.min(batchSize, lengths.length);
    }
  }

  /** Equal rows, all of them trained on: what to assume without data. */
  public static DataShape full(int rows, int length) {
    int[] lengths = new int[rows];
    Arrays.fill(lengths, length);
    return new DataShape(lengths, 1, 0, Optional.empty());
  }

  long tokens() {
    return Arrays.stream(lengths).asLongStream().sum();
  }

  int longest() {
    return Arrays.stream(lengths).max().orElse(1);
  }

  /** With rows cut to a length. */
  DataShape cutTo(int length) {
    return new DataShape(
        cut(lengths, length),
        trainedShare,
        evaluated,
        retained.map(r -> new Retained(cut(r.lengths(), length), r.batchSize())));
  }

  private static int[] cut(int[] lengths, int length) {
    return Arrays.stream(lengths).map(l -> Math.min(l, length)).toArray();
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
