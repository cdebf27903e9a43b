package io.chorale.kernel.train;

import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.kernel.train.TrainKernels.Attention;
import io.chorale.tensor.TorchDevice;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Attention's forward and backward against softmax and autograd of libtorch in float64. */
@ParameterizedClass(allowZeroInvocations = true)
@MethodSource("cases")
class AttentionKernelsTest extends KernelCase {
  /** Sequences of 1, 23, 24, 25, 100 rows and none, one row of no sequence behind them. */
  private static final int[] STARTS = {0, 1, 24, 48, 48, 73, 173};

  private static final int ROWS = 174;

  /** A query that sees only itself has no gradient: differences of terms of ten leave a rest. */
  private static final double ALONE = 1e-4;

  AttentionKernelsTest(InstructionSet set, ScalarType type) {
    super(set, type);
  }

  private record Shape(int heads, int kvHeads, int dim, int window) {
    int[] words() {
      int[] words = new int[4 + STARTS.length];
      int[] head = {heads, kvHeads, dim, window};
      System.arraycopy(head, 0, words, 0, 4);
      System.arraycopy(STARTS, 0, words, 4, STARTS.length);
      return words;
    }
  }

  private static Tensor mask(int length, int window) {
    float[] values = new float[length * length];
    for (int i = 0; i < length; i++) {
      for (int j = 0; j < length; j++) {
        boolean seen = j <= i && (window == 0 || i - j < window);
        values[i * length + j] = seen ? 0 : Float.NEGATIVE_INFINITY;
      }
    }
    return exact(TorchDevice.CPU.floats(values, length, length));
  }

  /** Sequence s of the definition, added up with the output's gradient; output into out. */
  private static void definition(Shape shape, Tensor[] leaves, Tensor dOut, Tensor out) {
    for (int s = 0; s + 1 < STARTS.length; s++) {
      int from = STARTS[s];
      int length = STARTS[s + 1] - from;
      for (int h = 0; h < shape.heads && length > 0; h++) {
        int kv = h * shape.kvHeads / shape.heads;
        Tensor q = part(leaves[0], from, length, h, shape.dim);
        Tensor k = part(leaves[1], from, length, kv, shape.dim);
        Tensor v = part(leaves[2], from, length, kv, shape.dim);
        Tensor scores = q.matmul(k.t()).mul(new Scalar(1 / Math.sqrt(shape.dim)));
        Tensor y = torch.softmax(scores.add(mask(length, shape.window)), -1).matmul(v);
        part(out, from, length, h, shape.dim).copy_(y.detach());
        y.mul(part(dOut, from, length, h, shape.dim)).sum().backward();
      }
    }
  }

  private static Tensor part(Tensor rows, int from, int length, int head, int dim) {
    return rows.narrow(0, from, length).narrow(1, (long) head * dim, dim);
  }

  private Attention inputs(Shape shape) {
    return new Attention(
        normal(ROWS, (long) shape.heads * shape.dim),
        normal(ROWS, (long) shape.kvHeads * shape.dim),
        normal(ROWS, (long) shape.kvHeads * shape.dim),
        untouched(TorchDevice.CPU.zeros(type, ROWS, (long) shape.heads * shape.dim)),
        TorchDevice.CPU.zeros(ScalarType.Float, ROWS, shape.heads));
  }

  /** Not a number where a sequence is; zero, as it must stay, in the row of none. */
  private Tensor untouched(Tensor like) {
    Tensor rows = unwritten(like);
    rows.narrow(0, ROWS - 1, 1).zero_();
    return rows;
  }

  private Tensor[] backward(Attention a, Tensor dOut, Shape shape) {
    Tensor[] into = {untouched(a.q()), untouched(a.k()), untouched(a.v())};
    kernels.attendBackward(a, dOut, into, shape.words());
    return into;
  }

  @ParameterizedTest
  @CsvSource({
    "4, 2, 16, 0",
    "3, 1, 40, 0",
    "2, 2, 64, 0",
    "4, 1, 96, 0",
    "4, 2, 16, 1",
    "2, 1, 40, 17",
    "2, 2, 64, 24",
    "2, 1, 96, 99"
  })
  void attentionAndItsGradientsAreTheDefinitions(int heads, int kvHeads, int dim, int window) {
    Shape shape = new Shape(heads, kvHeads, dim, window);
    Attention a = inputs(shape);
    Tensor dOut = normal(ROWS, (long) heads * dim);
    Tensor[] leaves = {exact(a.q()).clone(), exact(a.k()).clone(), exact(a.v()).clone()};
    for (Tensor leaf : leaves) {
      leaf.requires_grad_(true);
    }
    Tensor wanted = exact(a.out()).zero_();
    definition(shape, leaves, exact(dOut), wanted);
    kernels.attend(a, shape.words());
    Tensor[] into = backward(a, dOut, shape);
    assertNear(wanted, a.out(), "out");
    String[] names = {"dq", "dk", "dv"};
    for (int i = 0; i < 3; i++) {
      // The output that backward reads was rounded once, too.
      double ofLargest =
          type == ScalarType.BFloat16 ? 1.0 / 256 : window == 1 && i < 2 ? ALONE : 1e-5;
      double ofEach = type == ScalarType.BFloat16 ? 1.0 / 256 : 0;
      assertNear(leaves[i].grad(), into[i], ofEach, ofLargest, names[i]);
    }
  }

  @Test
  void theNumberOfThreadsChangesNoBit() {
    Shape shape = new Shape(4, 2, 40, 30);
    Attention a = inputs(shape);
    Tensor dOut = normal(ROWS, 160);
    Tensor[][] results = new Tensor[2][];
    Tensor[] outs = new Tensor[2];
    for (int threads = 1; threads <= 2; threads++) {
      TorchDevice.threads(threads);
      kernels.attend(a, shape.words());
      outs[threads - 1] = a.out().clone();
      results[threads - 1] = backward(a, dOut, shape);
    }
    assertSameBits(outs[0], outs[1], "out");
    for (int i = 0; i < 3; i++) {
      assertSameBits(results[0][i], results[1][i], "gradient " + i);
    }
  }
}
