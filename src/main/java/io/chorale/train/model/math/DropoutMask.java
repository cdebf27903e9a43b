package io.chorale.train.model.math;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Dropout whose mask follows from a seed and the place alone, so that it can be made again for
 * backward, after a checkpoint and after a resume. Element i of a mask is kept if 16 bits of
 * SplitMix64's output {@code i / 4} are below {@code keep * 65536}.
 */
public final class DropoutMask {
  private static final long GAMMA = 0x9e3779b97f4a7c15L;

  private final int threshold;

  /**
   * @param rate share that is dropped, 0 or more and below 1
   */
  public DropoutMask(double rate) {
    this.threshold = (int) Math.round((1 - rate) * 65536);
  }

  /** What a kept element is multiplied with. */
  public double scale() {
    return 65536.0 / threshold;
  }

  /** {@code y = x * mask}, without the scale; y may be x. */
  public void apply(Tensor x, Tensor y, long seed, Buffers buffers) {
    torch.mul_out(y, x, mask(x.size(0), x.size(1), seed, buffers));
  }

  private Tensor mask(long rows, long cols, long seed, Buffers buffers) {
    byte[] kept = new byte[Math.toIntExact(rows * cols)];
    fill(kept, mix(seed));
    return buffers.device().bytes(kept, rows, cols).to(buffers.type());
  }

  private void fill(byte[] kept, long start) {
    long state = start;
    for (int i = 0; i < kept.length; i += 4) {
      state += GAMMA;
      long bits = mix(state);
      int end = Math.min(4, kept.length - i);
      for (int j = 0; j < end; j++, bits >>>= 16) {
        kept[i + j] = (byte) ((bits & 0xffff) < threshold ? 1 : 0);
      }
    }
  }

  /** SplitMix64's output function, Steele et al. 2014. */
  public static long mix(long value) {
    long z = value;
    z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
    z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
    return z ^ z >>> 31;
  }
}
