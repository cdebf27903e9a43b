package io.chorale.train.model.math;

import io.chorale.kernel.train.TrainKernels;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Dropout whose mask follows from a seed and the place alone, so that it can be made again for
 * backward, after a checkpoint and after a resume. Element i of a mask is kept if 16 bits of
 * SplitMix64's output {@code i / 4} are below {@code keep * 65536}.
 */
public final class DropoutMask {
  private static final VarHandle INTS =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
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

  /** The mask of one place, without the scale. Valid until the next one is made. */
  public final class Placed {
    private final TrainKernels kernels;
    private final long seed;
    private final Tensor mask;

    private Placed(TrainKernels kernels, Tensor like, long seed, Buffers buffers) {
      this.kernels = kernels;
      this.seed = mix(seed);
      this.mask = kernels == null ? make(like.size(0), like.size(1), seed, buffers) : null;
    }

    /** Writes {@code x * mask}. */
    public Tensor drop(Tensor x, Tensor out) {
      if (kernels == null) {
        return torch.mul_out(out, x, mask);
      }
      kernels.dropout(x, seed, threshold, out);
      return out;
    }

    /** Adds {@code d * mask}. */
    public void addDropped(Tensor d, Tensor dx) {
      if (kernels == null) {
        dx.addcmul_(d, mask);
      } else {
        kernels.dropoutAdd(d, seed, threshold, dx);
      }
    }
  }

  /** The mask for matrices like this one. */
  public Placed at(Tensor like, long seed, Buffers buffers) {
    return at(TrainKernels.on(like), like, seed, buffers);
  }

  /**
   * @param kernels null for libtorch
   */
  Placed at(TrainKernels kernels, Tensor like, long seed, Buffers buffers) {
    return new Placed(kernels, like, seed, buffers);
  }

  /**
   * The mask of one place, without the scale: 0 or 1 in the buffers' element type.
   *
   * @return [rows, cols], valid until the next mask is made
   */
  private Tensor make(long rows, long cols, long seed, Buffers buffers) {
    byte[] kept = new byte[Math.toIntExact((rows * cols + 3) / 4 * 4)];
    fill(kept, mix(seed));
    Tensor bytes = buffers.device().bytes(kept, kept.length).narrow(0, 0, rows * cols);
    return buffers.take("mask", rows, cols).copy_(bytes.view(rows, cols));
  }

  /** Four elements a draw: the sign of (16 bits less the threshold) is the element. */
  private void fill(byte[] kept, long start) {
    long state = start;
    for (int i = 0; i < kept.length; i += 4) {
      state += GAMMA;
      long bits = mix(state);
      int first = ((int) bits & 0xffff) - threshold >>> 31;
      int second = ((int) (bits >>> 16) & 0xffff) - threshold >>> 31;
      int third = ((int) (bits >>> 32) & 0xffff) - threshold >>> 31;
      int fourth = (int) (bits >>> 48) - threshold >>> 31;
      INTS.set(kept, i, first | second << 8 | third << 16 | fourth << 24);
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
