package io.chorale.train.model.math;

import io.chorale.kernel.train.TrainKernels;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Cross-entropy of a band of rows: {@code loss = log(sum exp(x)) - x[target]}, {@code dx =
 * softmax(x) - onehot(target)}.
 */
public final class TokenLoss {
  private TokenLoss() {}

  /**
   * The sum of the rows' losses, nats, added in float64.
   *
   * @param logits [rows, vocab], overwritten with the gradient
   * @param targets int64 [rows]
   * @param gradScale the gradient is multiplied with it
   * @param wide float32 memory, used only by libtorch and if the logits are not float32
   */
  public static double sumAndGradient(
      Tensor logits, Tensor targets, double gradScale, Buffers wide) {
    TrainKernels kernels = TrainKernels.on(logits);
    if (kernels != null) {
      return kernels.loss(logits, targets, gradScale);
    }
    return withTorch(logits, targets, gradScale, wide);
  }

  static double withTorch(Tensor logits, Tensor targets, double gradScale, Buffers wide) {
    if (logits.scalar_type().intern() == ScalarType.Float) {
      return exact(logits, targets, gradScale);
    }
    Tensor widened = wide.take("logits", logits.size(0), logits.size(1)).copy_(logits);
    double sum = exact(widened, targets, gradScale);
    logits.copy_(widened);
    return sum;
  }

  private static double exact(Tensor logits, Tensor targets, double gradScale) {
    Tensor index = targets.view(-1, 1);
    Tensor wanted = logits.gather(1, index);
    Tensor largest = torch.amax(logits, new long[] {1}, true);
    torch.softmax_out(logits, logits, -1);
    // log(sum exp(x)) from the largest logit and its own probability, exact where others vanish.
    Tensor top = torch.amax(logits, new long[] {1}, true);
    Tensor losses =
        largest.sub_(wanted).to(ScalarType.Double).sub_(top.to(ScalarType.Double).log_());
    logits.scatter_add_(1, index, torch.full_like(wanted, new Scalar(-1.0)));
    if (gradScale != 1) {
      logits.mul_(new Scalar(gradScale));
    }
    return losses.sum().item_double();
  }
}
