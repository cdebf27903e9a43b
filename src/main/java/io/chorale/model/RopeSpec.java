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

  /**
   * Radians per position of each pair, float32 as transformers computes them.
   *
   * @return [headDim / 2]
   */
  public float[] inverseFrequencies(int headDim) {
    float[] out = new float[headDim / 2];
    for (int i = 0; i < out.length; i++) {
      float plain = (float) (1.0 / (float) Math.pow(theta, 2.0 * i / headDim));
      out[i] = freqFactors != null ? plain / freqFactors[i] : scaled(plain);
    }
    return out;
  }

  private float scaled(float frequency) {
    return switch (scaling) {
      case NONE -> frequency;
      case LINEAR -> (float) (frequency / factor);
      case LLAMA3 -> llama3(frequency);
    };
  }

  /** Llama 3.1's rule: long waves are stretched, short ones kept, those between blended. */
  private float llama3(float frequency) {
    double waveLength = 2 * Math.PI / frequency;
    if (waveLength < originalPositions / highFreqFactor) {
      return frequency;
    }
    if (waveLength > originalPositions / lowFreqFactor) {
      return (float) (frequency / factor);
    }
    double smooth =
        (originalPositions / waveLength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return (float) ((1 - smooth) * frequency / factor + smooth * frequency);
  }
}
