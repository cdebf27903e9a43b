package io.chorale.model;

/**
 * Rotary position embedding (Su et al. 2021, arXiv:2104.09864), half-split pairs as in
 * transformers.
 *
 * @param theta base of the frequencies
 * @param scaling how frequencies are stretched
 * @param factor stretch factor (linear and llama3)
 * @param lowFreqFactor llama3 only
 * @param highFreqFactor llama3 only
 * @param originalPositions llama3 only: context length before stretching
 * @param freqFactors null, or a divisor per frequency [headDim / 2] (GGUF rope_freqs), which
 *     replaces the llama3 formula
 */
public record RopeSpec(
    double theta,
    Scaling scaling,
    double factor,
    double lowFreqFactor,
    double highFreqFactor,
    int originalPositions,
    float[] freqFactors) {

  /** Frequency stretching. */
  public enum Scaling {
    NONE,
    LINEAR,
    LLAMA3
  }

  public static RopeSpec plain(double theta) {
    return new RopeSpec(theta, Scaling.NONE, 1, 1, 1, 0, null);
  }
}
