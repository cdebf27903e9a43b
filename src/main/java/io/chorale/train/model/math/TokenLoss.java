package io.chorale.train.model.math;

import io.chorale.tensor.TorchDevice;
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
   * @param logits float32 [rows, vocab], overwritten with the gradient
   * @param targets int64 [rows]
   * @param gradScale the gradient is multiplied with it
   */
  public static double sumAndGradient(Tensor logits, Tensor targets, double gradScale) {
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

  /** The sum of the rows' losses only; the logits are overwritten. */
  public static double sum(Tensor logits, Tensor targets, TorchDevice device) {
    return sumAndGradient(logits, targets, 1);
  }
}
