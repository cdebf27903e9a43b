package io.chorale.train.model.math;

import io.chorale.kernel.train.TrainKernels;
import io.chorale.model.RopeSpec;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Rotary position embedding on [rows, heads * headDim], pairs half a head apart. Its backward is
 * the rotation by the opposite angle. Tables are kept for the longest sequence seen.
 */
public final class Rope implements AutoCloseable {
  private final float[] inverseFrequencies;
  private final TorchDevice device;
  private final ScalarType type;
  private Tensor cos;
  private Tensor sin;

  public Rope(RopeSpec spec, int headDim, TorchDevice device, ScalarType type) {
    this.inverseFrequencies = spec.inverseFrequencies(headDim);
    this.device = device;
    this.type = type;
  }

  /** Cosines and sines of some rows, [rows, 1, headDim / 2]; of the caller's scope. */
  public record Angles(Tensor cos, Tensor sin) {}

  /**
   * @param positions int64 [rows]
   * @param longest more than the largest position
   */
  public Angles at(Tensor positions, int longest) {
    if (cos == null || cos.size(0) < longest) {
      grow(longest);
    }
    return new Angles(cos.index_select(0, positions), sin.index_select(0, positions));
  }

  private void grow(int length) {
    close();
    int half = inverseFrequencies.length;
    float[] cosines = new float[length * half];
    float[] sines = new float[length * half];
    for (int position = 0; position < length; position++) {
      for (int i = 0; i < half; i++) {
        // The product is rounded to float32 first, as transformers does.
        float angle = position * inverseFrequencies[i];
        cosines[position * half + i] = (float) Math.cos(angle);
        sines[position * half + i] = (float) Math.sin(angle);
      }
    }
    try (Scope scope = Scope.open()) {
      cos = scope.escape(device.floats(cosines, length, 1, half).to(type, false, true, null));
      sin = scope.escape(device.floats(sines, length, 1, half).to(type, false, true, null));
    }
  }

  /** In place: (a, b) becomes (a cos - b sin, b cos + a sin). */
  public static void rotate(Tensor x, Angles angles) {
    turn(TrainKernels.on(x), x, angles, 1);
  }

  /** The opposite of {@link #rotate}, in place. */
  public static void rotateBack(Tensor x, Angles angles) {
    turn(TrainKernels.on(x), x, angles, -1);
  }

  static void turn(TrainKernels kernels, Tensor x, Angles angles, int direction) {
    if (kernels != null) {
      kernels.rotate(x, angles.cos(), angles.sin(), direction);
      return;
    }
    long half = angles.cos().size(2);
    RowChunks.run(
        x.size(0),
        x.size(1),
        (from, count) -> {
          Tensor heads = x.narrow(0, from, count).view(count, -1, 2 * half);
          Tensor a = heads.narrow(2, 0, half);
          Tensor b = heads.narrow(2, half, half);
          Tensor c = angles.cos().narrow(0, from, count);
          Tensor s = angles.sin().narrow(0, from, count);
          Tensor aSin = a.mul(s);
          Tensor bSin = b.mul(s);
          a.mul_(c);
          b.mul_(c);
          if (direction > 0) {
            a.sub_(bSin);
            b.add_(aSin);
          } else {
            a.add_(bSin);
            b.sub_(aSin);
          }
        });
  }

  @Override
  public void close() {
    if (cos != null) {
      cos.close();
      sin.close();
      cos = null;
    }
  }
}
