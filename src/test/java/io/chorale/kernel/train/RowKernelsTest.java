package io.chorale.kernel.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.tensor.TorchDevice;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Kernels of single rows against libtorch's formulas and autograd in float64. */
@ParameterizedClass(allowZeroInvocations = true)
@MethodSource("cases")
class RowKernelsTest extends KernelCase {
  private static final float EPS = 1e-5f;

  RowKernelsTest(InstructionSet set, ScalarType type) {
    super(set, type);
  }

  private static Tensor norm(Tensor x, Tensor weight) {
    Tensor mean = x.mul(x).mean(new long[] {-1}, true, new ScalarTypeOptional());
    return x.mul(mean.add(new Scalar((double) EPS)).rsqrt()).mul(weight);
  }

  private static Tensor leaf(Tensor x) {
    return exact(x).detach().clone().requires_grad_(true);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 15, 16, 33, 576, 1001})
  void rmsNormAndItsGradientAreTheFormulas(int width) {
    Tensor x = normal(37, width);
    Tensor weight = floats(1, width);
    Tensor dy = normal(37, width);
    Tensor dx = normal(37, width);
    Tensor leaf = leaf(x);
    Tensor y = norm(leaf, exact(weight));
    y.mul(exact(dy)).sum().backward();
    Tensor wanted = exact(dx).add(leaf.grad());
    Tensor out = unwritten(37, width);
    kernels.rmsNorm(x, weight, EPS, out);
    kernels.rmsNormBackward(dy, x, weight, EPS, dx);
    assertNear(y.detach(), out, "y");
    assertNear(wanted, dx, "dx");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 15, 17, 576, 1001})
  void siluAndItsGradientAreTheFormulas(int width) {
    Tensor gate = normal(21, width).mul(new Scalar(4.0));
    Tensor up = normal(21, width);
    Tensor dOut = normal(21, width);
    Tensor g = leaf(gate);
    Tensor u = leaf(up);
    Tensor y = torch.silu(g).mul(u);
    y.mul(exact(dOut)).sum().backward();
    Tensor out = unwritten(21, width);
    kernels.silu(gate, up, out);
    kernels.siluBackward(dOut, gate, up);
    assertNear(y.detach(), out, "out");
    assertNear(g.grad(), gate, "gate's gradient");
    assertNear(u.grad(), up, "up's gradient");
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 16, 40, 64, 96})
  void rotationTurnsTheHalvesOfEachHeadEitherWay(int headDim) {
    int half = headDim / 2;
    Tensor x = normal(19, 3 * headDim);
    Tensor angles = floats(19, half);
    Tensor cos = angles.cos().to(type);
    Tensor sin = angles.sin().to(type);
    for (int direction : new int[] {1, -1}) {
      Tensor halves = exact(x).view(19, 3, 2, half);
      Tensor a = halves.select(2, 0);
      Tensor b = halves.select(2, 1);
      Tensor c = exact(cos).view(19, 1, half);
      Tensor s = exact(sin).view(19, 1, half).mul(new Scalar((double) direction));
      Tensor wanted = exact(x).clone();
      wanted.view(19, 3, 2, half).select(2, 0).copy_(a.mul(c).sub(b.mul(s)));
      wanted.view(19, 3, 2, half).select(2, 1).copy_(b.mul(c).add(a.mul(s)));
      Tensor turned = x.clone();
      kernels.rotate(turned, cos, sin, direction);
      assertNear(wanted, turned, "rotated by " + direction);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 16, 33, 4096, 4103, 9001})
  void lossIsTheCrossEntropyAndLeavesItsGradient(int vocab) {
    Tensor logits = normal(9, vocab).mul(new Scalar(5.0));
    long[] wanted = random.longs(9, 0, vocab).toArray();
    wanted[8] = vocab - 1;
    Tensor targets = TorchDevice.CPU.longs(wanted);
    Tensor x = leaf(logits);
    Tensor loss = torch.log_softmax(x, -1).gather(1, targets.view(-1, 1)).sum().neg();
    loss.mul(new Scalar(0.25)).backward();
    double sum = kernels.loss(logits, targets, 0.25);
    assertEquals(loss.item_double(), sum, 1e-5 * Math.max(1, loss.item_double()));
    assertNear(x.grad(), logits, "gradient");
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void lossOfALogitThatIsNotFiniteIsNotANumber(double bad) {
    for (int at : new int[] {0, 15, 16, 32, 36}) {
      Tensor logits = normal(3, 37);
      logits.select(0, 1).narrow(0, at, 1).fill_(new Scalar(bad));
      double sum = kernels.loss(logits, TorchDevice.CPU.longs(new long[] {1, 2, 3}), 1);
      assertTrue(Double.isNaN(sum), "logit " + at + ": " + sum);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 15, 16, 33, 64, 576, 1001})
  void columnDotsAreTheSumsOfTheProducts(int width) {
    Tensor x = normal(131, width);
    Tensor y = normal(131, width);
    Tensor dots = floats(1, width);
    kernels.columnDots(x, y, dots);
    Tensor wanted = exact(x).mul(exact(y)).sum(new long[] {0}, true, new ScalarTypeOptional());
    assertNear(wanted, dots, 1e-5, 1e-6, "dots");
  }

  /** SplitMix64 as its author wrote it: the state first moves on, then is mixed. */
  private static float kept(long seed, int i, int threshold) {
    long z = seed + 0x9e3779b97f4a7c15L * (i / 4 + 1);
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    z ^= z >>> 31;
    return (z >>> (16 * (i % 4)) & 0xffff) < threshold ? 1 : 0;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 6554, 32768, 58982, 65536})
  void dropoutKeepsWhatTheGeneratorSaysAlsoAcrossTasks(int threshold) {
    for (int width : new int[] {1, 15, 33, 1001}) {
      Tensor x = normal(35, width);
      Tensor dx = normal(35, width);
      float[] mask = new float[35 * width];
      for (int i = 0; i < mask.length; i++) {
        mask[i] = kept(-5, i, threshold);
      }
      Tensor wanted = exact(x).mul(exact(TorchDevice.CPU.floats(mask, 35, width)));
      Tensor sum = exact(dx).add(wanted);
      Tensor out = unwritten(35, width);
      kernels.dropout(x, -5, threshold, out);
      kernels.dropoutAdd(x, -5, threshold, dx);
      assertNear(wanted, out, 0, 0, "dropped");
      assertNear(sum, dx, "added");
    }
  }

  @Test
  void theNumberOfThreadsChangesNoBit() {
    Tensor[] results = new Tensor[2];
    double[] losses = new double[2];
    Tensor x = normal(211, 577);
    Tensor weight = floats(1, 577);
    Tensor targets = TorchDevice.CPU.longs(random.longs(211, 0, 577).toArray());
    for (int threads = 1; threads <= 2; threads++) {
      TorchDevice.threads(threads);
      Tensor y = unwritten(211, 577);
      kernels.rmsNorm(x, weight, EPS, y);
      Tensor dx = x.clone();
      kernels.rmsNormBackward(y, x, weight, EPS, dx);
      kernels.siluBackward(x, y, dx);
      kernels.silu(y, dx, y);
      kernels.dropoutAdd(dx, 3, 40000, y);
      losses[threads - 1] = kernels.loss(y, targets, 0.5);
      results[threads - 1] = y;
    }
    assertEquals(losses[0], losses[1]);
    assertSameBits(results[0], results[1], "after all kernels");
  }
}
