package io.chorale.kernel;

/**
 * What may be rounded for memory or speed, beyond a weight's own format. Only native kernels know
 * more than {@link #DEFAULT}.
 *
 * @param kvCache how keys and values are kept
 * @param nf4 how NF4 weights are multiplied
 */
public record Precision(KvCache kvCache, Nf4 nf4) {
  public static final Precision DEFAULT = new Precision(KvCache.F16, Nf4.EXACT);

  /** Keys and values; libtorch keeps float32 and takes F16 as that. */
  public enum KvCache {
    /** Half precision. */
    F16,
    /**
     * int8 with one half-precision scale for each position's key and value of a head: an element is
     * off by at most 1/254 of its vector's largest.
     */
    Q8
  }

  /** Products of NF4 weights (Dettmers et al. 2023, arXiv:2305.14314). */
  public enum Nf4 {
    /** The codebook's float32 values times float32 inputs. */
    EXACT,
    /** The codebook and the inputs as int8, inputs in blocks of 32: within 2e-2 of a row. */
    FAST
  }

  /** Bytes that one position's key and value of one head take in half precision or int8. */
  int kvHeadBytes(int headDim) {
    int padded = headDim + (headDim + 15) / 16 * 16; // values are padded to whole vectors
    return kvCache == KvCache.Q8 ? padded + 2 * Short.BYTES : padded * Short.BYTES;
  }
}
