package io.chorale.train.rounding;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * Which 4-bit value a merged weight w becomes.
 *
 * <pre>
 *   REFIT   new scales for each block, as the format's own quantizer; then the nearest value
 *   KEEP    the base's scales; the nearest of the block's 16 values
 *   DITHER  the base's scales; of the two values around w the upper one if w lies above the
 *           element's own threshold between them: a fixed number from (0, 1) for each element
 * </pre>
 *
 * A 4-bit base lies in the middle of its rounding intervals: the nearest value takes in no update
 * smaller than half a step. With thresholds spread evenly, the share of elements that move is the
 * update's share of a step, so that sums over many elements move as wanted. Nothing moves where the
 * update is 0.
 */
public enum Rounding {
  REFIT,
  KEEP,
  DITHER;

  /** As users write it. */
  public String option() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Whether the blocks' scales stay the base's. */
  public boolean keepsScales() {
    return this != REFIT;
  }

  /**
   * Reads an option's value.
   *
   * @throws IllegalArgumentException naming the value and the choices
   */
  public static Rounding parse(String value) {
    List<String> options = Arrays.stream(values()).map(Rounding::option).toList();
    int index = options.indexOf(value);
    if (index < 0) {
      throw new IllegalArgumentException(
          "rounding '%s', wanted one of %s".formatted(value, String.join(", ", options)));
    }
    return values()[index];
  }

  /**
   * @param element flat index in the matrix
   * @return the element's threshold, above 0 and below 1; the nearest value has 1/2
   */
  float threshold(long seed, long element) {
    if (this != DITHER) {
      return 0.5f;
    }
    long z = seed + (element + 1) * 0x9e3779b97f4a7c15L; // SplitMix64
    z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
    z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
    z ^= z >>> 31;
    // 2^12 thresholds whose ends stay clear of 0 and 1: a division's last bit must move nothing.
    return ((int) (z >>> 52) + 0.5f) * 0x1p-12f;
  }
}
