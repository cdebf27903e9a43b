package io.chorale.train.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.quant.PackedMatrix;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.math.Buffers;
import io.chorale.train.model.math.DropoutMask;
import io.chorale.train.model.weight.FrozenWeight;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Random;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;

/** What bfloat16 leaves of an update that is far below the step between two of its values. */
class SmallUpdateTest {
  private static final Path MODEL = Path.of("src/test/resources/golden/models/llama");
  private static final int ROWS = 512;
  private static final int RANK = 4;
  private static final ScalarType TYPE = ScalarType.BFloat16;

  private final Random random = new Random(7);

  private float[] normal(int count, double scale) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (random.nextGaussian() * scale);
    }
    return values;
  }

  private static float[] host(Tensor tensor) {
    float[] out = new float[(int) tensor.numel()];
    TorchDevice.CPU.read(tensor.to(ScalarType.Float).contiguous(), out, 0, out.length);
    return out;
  }

  /**
   * The update is a thousandth of y, half a step about four: single elements cannot show it, the
   * mean over all of them must.
   */
  @Test
  void updateBelowHalfAStepIsKeptOnAverage() throws IOException {
    try (BaseModelFiles files = BaseModelFiles.open(MODEL, Quantization.NONE);
        Scope scope = Scope.open();
        Buffers work = new Buffers(TorchDevice.CPU, TYPE);
        Buffers tape = new Buffers(TorchDevice.CPU, TYPE)) {
      FrozenWeight base =
          FrozenWeight.of(files.linear(new ModuleId(0, LoraTarget.Q_PROJ)), TorchDevice.CPU, TYPE);
      int in = base.cols();
      int out = base.rows();
      Tensor x = TorchDevice.CPU.floats(normal(ROWS * in, 1), ROWS, in).to(TYPE);
      Tensor y = work.take("y", ROWS, out);
      try (Parameter a =
              LooseParameters.of("a", Parameter.Kind.LORA_A, normal(RANK * in, 0.1), RANK, in);
          Parameter b =
              LooseParameters.of("b", Parameter.Kind.LORA_B, new float[out * RANK], out, RANK);
          TrainLinear linear =
              new TrainLinear(
                  "q", base, null, null, null, new LowRank(0, 1, a, b, null, null, TYPE), null)) {
        Pass pass = new Pass(work, tape, null, null, null, null, 0, true);
        // When
        linear.refresh();
        linear.forward(pass, x, y);
        float[] without = host(y);
        Tensor direction =
            TorchDevice.CPU.floats(normal(out * RANK, 1), out, RANK).to(TYPE).to(ScalarType.Float);
        Tensor h = x.to(ScalarType.Float).mm(a.value().to(TYPE).to(ScalarType.Float).t());
        double size = rms(host(h.mm(direction.t())));
        b.value().copy_(direction.mul(new Scalar(0.001 * rms(without) / size)));
        linear.refresh();
        y.fill_(new Scalar(Double.NaN)); // what lay there before has no part in it
        linear.forward(pass, x, y);
        // Then
        float[] wanted = host(h.mm(b.value().t()));
        assertEquals(1, share(host(y), without, wanted), 0.1);
      }
    }
  }

  /**
   * The same for DoRA with dropout, whose formula has three parts; beside float32 with the same
   * mask.
   */
  @Test
  void updateOfDoraWithDropoutBelowHalfAStepIsKeptOnAverage() throws IOException {
    try (BaseModelFiles files = BaseModelFiles.open(MODEL, Quantization.NONE);
        Scope scope = Scope.open()) {
      PackedMatrix matrix = files.linear(new ModuleId(0, LoraTarget.Q_PROJ));
      int in = matrix.cols();
      int out = matrix.rows();
      Tensor x = TorchDevice.CPU.floats(normal(ROWS * in, 1), ROWS, in).to(TYPE);
      float[] a = normal(RANK * in, 0.1);
      float[] direction = normal(out * RANK, 1e-3);
      // When
      float[] exactly = host(dropped(matrix, x, a, direction, ScalarType.Float));
      float[] exactlyWithout = host(dropped(matrix, x, a, new float[out * RANK], ScalarType.Float));
      float[] with = host(dropped(matrix, x, a, direction, TYPE));
      float[] without = host(dropped(matrix, x, a, new float[out * RANK], TYPE));
      // Then
      float[] wanted = difference(exactly, exactlyWithout);
      assertTrue(rms(wanted) < 0.004 * rms(exactly), rms(wanted) + " of " + rms(exactly));
      assertEquals(1, share(with, without, wanted), 0.1);
    }
  }

  private static Tensor dropped(
      PackedMatrix matrix, Tensor x, float[] a, float[] b, ScalarType type) {
    int in = matrix.cols();
    int out = matrix.rows();
    float[] w = new float[out * in];
    matrix.dequantizeRows(0, out, w);
    float[] squares = new float[out];
    float[] norms = new float[out];
    for (int o = 0; o < out; o++) {
      for (int i = 0; i < in; i++) {
        squares[o] += w[o * in + i] * w[o * in + i];
      }
      norms[o] = (float) Math.sqrt(squares[o]);
    }
    Tensor y = torch.zeros(new long[] {ROWS, out}, new TensorOptions(type));
    try (Buffers work = new Buffers(TorchDevice.CPU, type);
        Buffers tape = new Buffers(TorchDevice.CPU, type);
        Parameter pa = LooseParameters.of("a", Parameter.Kind.LORA_A, a, RANK, in);
        Parameter pb = LooseParameters.of("b", Parameter.Kind.LORA_B, b, out, RANK);
        Parameter m = LooseParameters.of("m", Parameter.Kind.MAGNITUDE, norms, out);
        TrainLinear linear =
            new TrainLinear(
                "q",
                FrozenWeight.of(matrix, TorchDevice.CPU, type),
                null,
                null,
                null,
                new LowRank(0, 1, pa, pb, m, TorchDevice.CPU.floats(squares, out).clone(), type),
                null)) {
      linear.refresh();
      linear.forward(
          new Pass(work, tape, null, null, null, new DropoutMask(0.3), 11, true), x.to(type), y);
    }
    return y;
  }

  private static float[] difference(float[] x, float[] y) {
    float[] out = new float[x.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = x[i] - y[i];
    }
    return out;
  }

  private static double rms(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += (double) value * value;
    }
    return Math.sqrt(sum / values.length);
  }

  /** How much of what was wanted is in the difference: its projection. */
  private static double share(float[] with, float[] without, float[] wanted) {
    double along = 0;
    double norm = 0;
    for (int i = 0; i < wanted.length; i++) {
      along += ((double) with[i] - without[i]) * wanted[i];
      norm += (double) wanted[i] * wanted[i];
    }
    return along / norm;
  }
}
