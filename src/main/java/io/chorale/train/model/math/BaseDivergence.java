package io.chorale.train.model.math;

import io.chorale.tensor.Scope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * How far an adapted model's predictions are from its base's, over a band of rows: {@code KL = sum
 * p (log p - log q)} with p = softmax(base), q = softmax(x); {@code dx = q - p}.
 */
public final class BaseDivergence {
  /** Rows in float32 at once; five matrices of so many are in memory. */
  public static final int ROWS = 64;

  private BaseDivergence() {}

  /**
   * The sum of the rows' divergences, nats, computed in float32; rows are added in float64.
   *
   * @param logits the adapted model's, [rows, vocab], overwritten with the gradient
   * @param base the base's, [rows, vocab]
   * @param gradScale the gradient is multiplied with it
   */
  public static double sumAndGradient(Tensor logits, Tensor base, double gradScale) {
    double sum = 0;
    long rows = logits.size(0);
    for (long from = 0; from < rows; from += ROWS) {
      try (Scope scope = Scope.open()) {
        long count = Math.min(ROWS, rows - from);
        sum += band(logits.narrow(0, from, count), base.narrow(0, from, count), gradScale);
      }
    }
    return sum;
  }

  private static double band(Tensor logits, Tensor base, double gradScale) {
    Tensor logQ = torch.log_softmax(logits.to(ScalarType.Float), 1);
    Tensor logP = torch.log_softmax(base.to(ScalarType.Float), 1);
    Tensor p = logP.exp();
    Tensor each = logP.sub_(logQ).mul_(p).sum(1);
    double sum = each.to(ScalarType.Double).sum().item_double();
    logits.copy_(logQ.exp_().sub_(p).mul_(new Scalar(gradScale)));
    return sum;
  }
}
