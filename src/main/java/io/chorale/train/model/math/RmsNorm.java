package io.chorale.train.model.math;

import io.chorale.kernel.train.TrainKernels;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Root mean square norm, Zhang and Sennrich 2019, arXiv:1910.07467.
 *
 * <pre>
 *   y  = x r w                             r = 1 / sqrt(mean(x^2) + eps)
 *   dx = r (dy w) - x r^3 mean(dy w x)     dw = sum over rows of dy x r
 * </pre>
 *
 * Sums are float32 whatever the element type.
 */
public final class RmsNorm {
  private static final long[] LAST = {1};
  private static final long[] FIRST = {0};

  private RmsNorm() {}

  /**
   * @param x [rows, width]
   * @param w float32 [width]
   * @param y [rows, width], may be x
   */
  public static void forward(Tensor x, Tensor w, float eps, Tensor y) {
    forward(TrainKernels.on(x), x, w, eps, y);
  }

  /**
   * @param kernels null for libtorch
   */
  static void forward(TrainKernels kernels, Tensor x, Tensor w, float eps, Tensor y) {
    if (kernels != null) {
      kernels.rmsNorm(x, w, eps, y);
      return;
    }
    RowChunks.run(
        x.size(0),
        x.size(1),
        (from, count) -> {
          Tensor in = x.narrow(0, from, count);
          Tensor out = y.narrow(0, from, count);
          Tensor inverse = inverse(in, eps);
          if (x.scalar_type().intern() == ScalarType.Float) {
            torch.mul_out(out, in, inverse);
            out.mul_(w);
          } else {
            out.copy_(in.to(ScalarType.Float).mul_(inverse).mul_(w));
          }
        });
  }

  /**
   * Adds the input's gradient to {@code dx}.
   *
   * @param dy [rows, width]
   * @param x the forward input
   * @param dx [rows, width]; null if it is not wanted
   * @param dw float32 [width], added to; null if it is not wanted
   */
  public static void backward(Tensor dy, Tensor x, Tensor w, float eps, Tensor dx, Tensor dw) {
    TrainKernels kernels = TrainKernels.on(x);
    if (kernels != null && dw == null) {
      kernels.rmsNormBackward(dy, x, w, eps, dx);
    } else {
      backwardWithTorch(dy, x, w, eps, dx, dw);
    }
  }

  static void backwardWithTorch(Tensor dy, Tensor x, Tensor w, float eps, Tensor dx, Tensor dw) {
    long width = x.size(1);
    RowChunks.run(
        x.size(0),
        width,
        (from, count) -> {
          Tensor in = x.narrow(0, from, count);
          Tensor inverse = inverse(in, eps);
          Tensor x32 = in.to(ScalarType.Float);
          Tensor dy32 = dy.narrow(0, from, count).to(ScalarType.Float);
          if (dw != null) {
            dw.add_(dy32.mul(x32).mul_(inverse).sum(FIRST, false, as32()));
          }
          if (dx == null) {
            return;
          }
          Tensor scaled = dy32.mul(w);
          Tensor along = scaled.mul(x32).sum(LAST, true, as32());
          along.mul_(inverse).mul_(inverse).mul_(inverse).mul_(new Scalar(1.0 / width));
          Tensor target = dx.narrow(0, from, count);
          if (dx.scalar_type().intern() == ScalarType.Float) {
            target.addcmul_(scaled, inverse);
            target.addcmul_(x32, along, new Scalar(-1.0));
          } else {
            target.add_(scaled.mul_(inverse).addcmul_(x32, along, new Scalar(-1.0)));
          }
        });
  }

  /** Not a constant: a native object made in somebody's scope dies with it. */
  private static ScalarTypeOptional as32() {
    return new ScalarTypeOptional(ScalarType.Float);
  }

  private static Tensor inverse(Tensor x, float eps) {
    Tensor norm = torch.linalg_vector_norm(x, new Scalar(2.0), LAST, true, as32());
    return norm.mul_(norm)
        .mul_(new Scalar(1.0 / x.size(1)))
        .add_(new Scalar((double) eps))
        .rsqrt_();
  }
}
