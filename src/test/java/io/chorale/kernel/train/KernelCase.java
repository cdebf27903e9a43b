package io.chorale.kernel.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.kernel.NativeLibrary;
import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.provider.Arguments;

/** One instruction set and element type; what the kernels wrote against libtorch in float64. */
abstract class KernelCase {
  final TrainKernels kernels;
  final ScalarType type;
  final Random random = new Random(7);
  private final Scope scope = Scope.open();

  KernelCase(InstructionSet set, ScalarType type) {
    this.kernels = new TrainKernels(set);
    this.type = type;
  }

  static Stream<Arguments> cases() {
    return NativeLibrary.supported().stream()
        .flatMap(
            set ->
                Stream.of(ScalarType.Float, ScalarType.BFloat16)
                    .map(type -> Arguments.of(set, type)));
  }

  @AfterEach
  void close() {
    TorchDevice.threads(2);
    scope.close();
  }

  /** Normal values, already rounded to the element type. */
  Tensor normal(long rows, long cols) {
    return floats(rows, cols).to(type);
  }

  Tensor floats(long rows, long cols) {
    float[] values = new float[(int) (rows * cols)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return TorchDevice.CPU.floats(values, rows, cols);
  }

  /** Not a number everywhere. */
  Tensor unwritten(long rows, long cols) {
    return TorchDevice.CPU.zeros(type, rows, cols).fill_(new Scalar(Double.NaN));
  }

  Tensor unwritten(Tensor like) {
    return unwritten(like.size(0), like.size(1));
  }

  static Tensor exact(Tensor tensor) {
    return tensor.to(ScalarType.Double);
  }

  /** Within one rounding of each value, and 1e-5 of the largest. */
  void assertNear(Tensor expected, Tensor actual, String what) {
    assertNear(expected, actual, type == ScalarType.BFloat16 ? 1.0 / 256 : 0, 1e-5, what);
  }

  /** The largest counts as 0.1 at least: terms of about one that cancel leave a rest. */
  static void assertNear(
      Tensor expected, Tensor actual, double ofEach, double ofLargest, String what) {
    float[] wanted = values(expected);
    float[] found = values(actual);
    double largest = 0;
    for (float value : wanted) {
      largest = Math.max(largest, Math.abs(value));
    }
    for (int i = 0; i < wanted.length; i++) {
      double most = ofEach * Math.abs(wanted[i]) + ofLargest * Math.max(largest, 0.1);
      int at = i;
      assertTrue(
          Math.abs(wanted[i] - found[i]) <= most,
          () -> "%s[%d] is %s, wanted %s".formatted(what, at, found[at], wanted[at]));
    }
  }

  static void assertSameBits(Tensor expected, Tensor actual, String what) {
    assertArrayEquals(values(expected), values(actual), what);
  }

  static float[] values(Tensor tensor) {
    Tensor wide = tensor.to(ScalarType.Float).contiguous();
    float[] out = new float[(int) wide.numel()];
    TorchDevice.CPU.read(wide, out, 0, out.length);
    return out;
  }
}
