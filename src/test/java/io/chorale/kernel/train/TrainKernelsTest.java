package io.chorale.kernel.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.kernel.NativeLibrary;
import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Each kernel on each instruction set of this machine in both element types, against libtorch's
 * formulas and autograd in float64 on the same (rounded) inputs.
 */
class TrainKernelsTest {
  private static final double BF16 = 1.0 / 256;
  private static final double F32 = 4e-6;
  private static final ScalarTypeOptional DOUBLE = new ScalarTypeOptional(ScalarType.Double);

  record Path(InstructionSet set, ScalarType type) {
    TrainKernels kernels() {
      return new TrainKernels(set);
    }

    double tolerance() {
      return type == ScalarType.Float ? F32 : BF16;
    }

    @Override
    public String toString() {
      return set.label() + " " + type;
    }
  }

  static Stream<Path> paths() {
    return NativeLibrary.supported().stream()
        .flatMap(
            set -> Stream.of(ScalarType.Float, ScalarType.BFloat16).map(t -> new Path(set, t)));
  }

  private final Random random = new Random(5);
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open();
  }

  @AfterEach
  void close() {
    TorchDevice.threads(Runtime.getRuntime().availableProcessors());
    scope.close();
  }

  private Tensor random(Path path, long... shape) {
    int count = 1;
    for (long size : shape) {
      count *= (int) size;
    }
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return TorchDevice.CPU.floats(values, shape).to(path.type()).contiguous();
  }

  /** A leaf of float64 with the same values. */
  private static Tensor exact(Tensor x) {
    return x.to(ScalarType.Double).detach().set_requires_grad(true);
  }

  /** Off by at most the tolerance of its own size, or a little of the largest. */
  private static void close(Path path, Tensor wanted, Tensor had, String what) {
    Tensor off = had.to(ScalarType.Double).sub(wanted.detach()).abs();
    double largest = wanted.detach().abs().max().item_double();
    Tensor bound = wanted.detach().abs().mul(new Scalar(path.tolerance()));
    Tensor over = off.sub(bound).sub(new Scalar(largest * path.tolerance() / 8 + 1e-12));
    double worst = over.max().item_double();
    assertTrue(worst <= 0, what + ": over its bound by " + worst + " of " + largest);
  }

  private static void same(Tensor a, Tensor b, String what) {
    assertTrue(a.equal(b), what + " differs");
  }

  @ParameterizedTest
  @MethodSource("paths")
  void rmsNormAndItsGradientAreThoseOfTheFormula(Path path) {
    for (int width : new int[] {16, 48, 576, 577, 15}) {
      // Given
      Tensor x = random(path, 5, width);
      Tensor w = random(new Path(path.set(), ScalarType.Float), width);
      Tensor dy = random(path, 5, width);
      Tensor before = random(path, 5, width);
      Tensor y = random(path, 5, width);
      Tensor dx = before.clone();
      // When
      path.kernels().rmsNorm(x, w, 1e-5f, y);
      path.kernels().rmsNormBackward(dy, x, w, 1e-5f, dx);
      // Then
      Tensor in = exact(x);
      Tensor inverse = in.mul(in).sum(new long[] {1}, true, DOUBLE).div(new Scalar(width));
      inverse = inverse.add(new Scalar((double) 1e-5f)).rsqrt();
      Tensor out = in.mul(inverse).mul(w.to(ScalarType.Double));
      out.mul(dy.to(ScalarType.Double)).sum().backward();
      close(path, out, y, "y of " + width);
      close(path, before.to(ScalarType.Double).add(in.grad()), dx, "dx of " + width);
    }
  }

  @ParameterizedTest
  @MethodSource("paths")
  void siluGateAndItsGradientsAreThoseOfTheFormula(Path path) {
    for (int width : new int[] {16, 1536, 19}) {
      // Given
      Tensor gate = random(path, 7, width).mul(new Scalar(4.0));
      Tensor up = random(path, 7, width);
      Tensor dOut = random(path, 7, width);
      Tensor g = exact(gate);
      Tensor u = exact(up);
      Tensor out = random(path, 7, width);
      // When
      path.kernels().silu(gate, up, out);
      path.kernels().siluBackward(dOut, gate, up);
      // Then
      Tensor wanted = torch.silu(g).mul(u);
      wanted.mul(dOut.to(ScalarType.Double)).sum().backward();
      close(path, wanted, out, "out");
      close(path, g.grad(), gate, "dGate");
      close(path, u.grad(), up, "dUp");
    }
  }

  @ParameterizedTest
  @MethodSource("paths")
  void rotationTurnsEachHeadsPairsAndBack(Path path) {
    for (int half : new int[] {8, 20, 32, 48}) {
      // Given
      int rows = 3;
      int heads = 2;
      Tensor x = random(path, rows, heads * 2 * half);
      Tensor angles = random(new Path(path.set(), ScalarType.Float), rows, half);
      Tensor cos = angles.cos().to(path.type()).contiguous();
      Tensor sin = angles.sin().to(path.type()).contiguous();
      Tensor[] turned = {x.clone(), x.clone()};
      // When
      path.kernels().rotate(turned[0], cos, sin, 1);
      path.kernels().rotate(turned[1], cos, sin, -1);
      // Then
      Tensor view = x.to(ScalarType.Double).view(rows, heads, 2, half);
      Tensor a = view.select(2, 0);
      Tensor b = view.select(2, 1);
      Tensor c = cos.to(ScalarType.Double).view(rows, 1, half);
      Tensor s = sin.to(ScalarType.Double).view(rows, 1, half);
      for (int i = 0; i < 2; i++) {
        Tensor signed = i == 0 ? s : s.neg();
        Tensor had = turned[i].view(rows, heads, 2, half);
        close(path, a.mul(c).sub(b.mul(signed)), had.select(2, 0), "first half");
        close(path, b.mul(c).add(a.mul(signed)), had.select(2, 1), "second half");
      }
    }
  }

  @ParameterizedTest
  @MethodSource("paths")
  void lossAndItsGradientAreCrossEntropys(Path path) {
    for (int vocab : new int[] {32, 250, 4097, 5000}) {
      // Given
      Tensor logits = random(path, 4, vocab).mul(new Scalar(3.0));
      long[] wanted = {0, vocab - 1, 7, vocab / 2};
      Tensor targets = TorchDevice.CPU.longs(wanted);
      Tensor x = exact(logits);
      // When
      double sum = path.kernels().loss(logits, targets, 0.25);
      // Then
      Tensor losses = torch.log_softmax(x, 1).gather(1, targets.view(-1, 1)).neg().sum();
      losses.mul(new Scalar(0.25)).backward();
      assertEquals(losses.item_double(), sum, 2e-6 * losses.item_double());
      close(path, x.grad(), logits, "gradient of " + vocab);
    }
  }

  @ParameterizedTest
  @MethodSource("paths")
  void lossOfALogitThatIsNotFiniteIsNotANumber(Path path) {
    for (int at : new int[] {0, 17, 49}) {
      for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
        // Given
        Tensor logits = random(path, 2, 50);
        logits.select(0, 1).select(0, at).fill_(new Scalar(bad));
        // When
        double sum = path.kernels().loss(logits, TorchDevice.CPU.longs(new long[] {3, 4}), 1);
        // Then
        assertTrue(Double.isNaN(sum), bad + " at " + at + " gave " + sum);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("paths")
  void dropoutKeepsWhereSplitMixIsBelowTheThreshold(Path path) {
    for (int count : new int[] {16, 40, 16384 * 2 + 21}) {
      // Given
      long seed = 0x1234_5678_9abc_def0L + count;
      int threshold = 40_000;
      Tensor x = random(path, 1, count);
      Tensor before = random(path, 1, count);
      Tensor out = random(path, 1, count);
      Tensor dx = before.clone();
      float[] mask = new float[count];
      for (int i = 0; i < count; i++) {
        long word = splitMix(seed, i / 4);
        mask[i] = (word >>> (16 * (i % 4)) & 0xffff) < threshold ? 1 : 0;
      }
      Tensor kept = TorchDevice.CPU.floats(mask, 1, count).to(ScalarType.Double);
      // When
      path.kernels().dropout(x, seed, threshold, out);
      path.kernels().dropoutAdd(x, seed, threshold, dx);
      // Then
      Tensor wanted = x.to(ScalarType.Double).mul(kept);
      same(wanted.to(path.type()), out, "dropped");
      close(path, before.to(ScalarType.Double).add(wanted), dx, "added");
      assertTrue(kept.sum().item_double() > 0 && kept.sum().item_double() < count);
    }
  }

  private static long splitMix(long seed, long n) {
    long z = seed + 0x9e3779b97f4a7c15L * (n + 1);
    z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
    z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
    return z ^ z >>> 31;
  }

  private record Shape(int heads, int kvHeads, int dim, int window, int[] lengths) {
    int[] starts() {
      int[] starts = new int[lengths.length + 1];
      for (int i = 0; i < lengths.length; i++) {
        starts[i + 1] = starts[i] + lengths[i];
      }
      return starts;
    }

    int[] words() {
      int[] starts = starts();
      int[] words = new int[4 + starts.length];
      words[0] = heads;
      words[1] = kvHeads;
      words[2] = dim;
      words[3] = window;
      System.arraycopy(starts, 0, words, 4, starts.length);
      return words;
    }
  }

  private static final List<Shape> SHAPES =
      List.of(
          new Shape(9, 3, 64, 0, new int[] {1, 23, 24, 25, 100}),
          new Shape(4, 4, 16, 0, new int[] {49, 16}),
          new Shape(4, 1, 40, 7, new int[] {60, 3, 7}),
          new Shape(2, 1, 96, 30, new int[] {33, 130}));

  @ParameterizedTest
  @MethodSource("paths")
  void attentionAndItsGradientsAreThoseOfSoftmax(Path path) {
    for (Shape shape : SHAPES) {
      // Given
      int rows = shape.starts()[shape.lengths().length];
      Tensor q = random(path, rows, shape.heads() * shape.dim());
      Tensor k = random(path, rows, shape.kvHeads() * shape.dim());
      Tensor v = random(path, rows, shape.kvHeads() * shape.dim());
      Tensor dOut = random(path, rows, shape.heads() * shape.dim());
      // When
      Ran one = run(path, shape, new Tensor[] {q, k, v, dOut}, 1);
      Ran two = run(path, shape, new Tensor[] {q, k, v, dOut}, 2);
      // Then
      Tensor[] in = {exact(q), exact(k), exact(v)};
      Tensor wanted = attention(shape, in);
      wanted.mul(dOut.to(ScalarType.Double)).sum().backward();
      close(path, wanted, one.out(), "out of " + shape);
      for (int i = 0; i < 3; i++) {
        closeAsAWhole(path, in[i].grad(), one.gradients()[i], "gradient " + i + " of " + shape);
        same(one.gradients()[i], two.gradients()[i], "gradient " + i + " with two threads");
      }
      same(one.out(), two.out(), "out with two threads");
    }
  }

  private record Ran(Tensor out, Tensor[] gradients) {}

  private Ran run(Path path, Shape shape, Tensor[] in, int threads) {
    TorchDevice.threads(threads);
    Tensor out = random(path, in[0].size(0), in[0].size(1));
    Tensor logSums = random(new Path(path.set(), ScalarType.Float), in[0].size(0), shape.heads());
    TrainKernels.Attention a = new TrainKernels.Attention(in[0], in[1], in[2], out, logSums);
    Tensor[] into = {in[0].clone(), in[1].clone(), in[2].clone()};
    path.kernels().attend(a, shape.words());
    path.kernels().attendBackward(a, in[3], into, shape.words());
    return new Ran(out, into);
  }

  /** Errors of sums: by the root mean square of the whole matrix. */
  private static void closeAsAWhole(Path path, Tensor wanted, Tensor had, String what) {
    Tensor off = had.to(ScalarType.Double).sub(wanted);
    double error = Math.sqrt(off.mul(off).sum().item_double());
    double size = Math.sqrt(wanted.mul(wanted).sum().item_double());
    assertTrue(error <= path.tolerance() * size, what + ": off by " + error + " of " + size);
  }

  private static Tensor attention(Shape shape, Tensor[] in) {
    int group = shape.heads() / shape.kvHeads();
    int[] starts = shape.starts();
    List<Tensor> sequences = new ArrayList<>();
    for (int s = 0; s < shape.lengths().length; s++) {
      int length = shape.lengths()[s];
      List<Tensor> heads = new ArrayList<>();
      for (int h = 0; h < shape.heads(); h++) {
        int kv = h / group;
        Tensor q = head(in[0], starts[s], length, h, shape.dim());
        Tensor k = head(in[1], starts[s], length, kv, shape.dim());
        Tensor v = head(in[2], starts[s], length, kv, shape.dim());
        Tensor scores = q.matmul(k.t()).div(new Scalar(Math.sqrt(shape.dim())));
        Tensor hidden = hidden(length, shape.window());
        scores = scores.masked_fill(hidden, new Scalar(Double.NEGATIVE_INFINITY));
        heads.add(torch.log_softmax(scores, 1).exp().matmul(v));
      }
      sequences.add(cat(heads, 1));
    }
    return cat(sequences, 0);
  }

  private static Tensor cat(List<Tensor> all, long axis) {
    return torch.cat(new TensorVector(all.toArray(Tensor[]::new)), axis);
  }

  private static Tensor head(Tensor x, int start, int length, int head, int dim) {
    return x.narrow(0, start, length).narrow(1, (long) head * dim, dim);
  }

  /** True where a query does not see a key: a later one, or one that left the window. */
  private static Tensor hidden(int length, int window) {
    byte[] hides = new byte[length * length];
    for (int i = 0; i < length; i++) {
      for (int j = 0; j < length; j++) {
        hides[i * length + j] = (byte) (j > i || window > 0 && j <= i - window ? 1 : 0);
      }
    }
    return TorchDevice.CPU.bytes(hides, length, length).to(ScalarType.Bool);
  }
}
