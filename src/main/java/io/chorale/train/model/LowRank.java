package io.chorale.train.model;

import io.chorale.kernel.train.TrainKernels;
import io.chorale.tensor.Scope;
import io.chorale.train.model.math.Buffers;
import io.chorale.train.model.math.DropoutMask;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The low-rank update of one weight, and with DoRA its magnitude:
 *
 * <pre>
 *   y = g * (x W^T + S h B^T)    h = drop(x) A^T    S = scaling / keep
 *   g = m / n,  n = row norms of W + s B A, held constant (Liu et al. 2024, section 4.3);  1 without DoRA
 *   n^2 = |W|^2 + 2 s rowsum(W A^T * B) + s^2 rowsum(B (A A^T) * B)      without building B A
 *   dB = S g * (dy^T h)    dh = S dy (g * B)    dA = dh^T drop(x)    dm = colsum(dy * y) / m
 * </pre>
 *
 * With DoRA and dropout PEFT scales the base's product of the dropped-out input: {@code y = x W^T -
 * u + g * (u + S h B^T)} with {@code u = drop(x) W^T}.
 */
final class LowRank implements AutoCloseable {
  private final int module;
  private final float scaling;
  private final Parameter a;
  private final Parameter b;
  private final Parameter magnitude;
  private final Tensor baseSquares;
  private final ScalarType type;
  private Tensor aTyped;
  private Tensor bTyped;
  private Tensor gain;

  /**
   * @param module mixed into dropout seeds
   * @param magnitude DoRA's m; null without
   * @param baseSquares squared row norms of W, float32 [out]; null without DoRA; owned
   */
  LowRank(
      int module,
      float scaling,
      Parameter a,
      Parameter b,
      Parameter magnitude,
      Tensor baseSquares,
      ScalarType type) {
    this.module = module;
    this.scaling = scaling;
    this.a = a;
    this.b = b;
    this.magnitude = magnitude;
    this.baseSquares = baseSquares;
    this.type = type;
  }

  float scaling() {
    return scaling;
  }

  int rank() {
    return (int) a.value().size(0);
  }

  boolean dora() {
    return magnitude != null;
  }

  /** Forgets what was derived from the parameters, which may have changed. */
  void refresh() {
    closeDerived();
    if (type != ScalarType.Float) {
      try (Scope scope = Scope.open()) {
        aTyped = scope.escape(a.value().to(type));
        bTyped = scope.escape(b.value().to(type));
      }
    }
  }

  Tensor a() {
    return aTyped == null ? a.value() : aTyped;
  }

  Tensor b() {
    return bTyped == null ? b.value() : bTyped;
  }

  /** B with its rows scaled by g, in the compute type. */
  Tensor scaledB() {
    return dora() ? b.value().mul(gain.view(-1, 1)).to(type) : b();
  }

  /**
   * DoRA's g, float32 [out], computed at the first call after a refresh.
   *
   * @param w [out, in]
   */
  Tensor gain(Tensor w) {
    if (gain == null) {
      try (Scope scope = Scope.open()) {
        double s = scaling;
        Tensor squares = baseSquares.clone();
        Tensor across = torch.mm(w, a().t()).to(ScalarType.Float);
        squares.add_(rowSum(across.mul_(b.value())), new Scalar(2 * s));
        Tensor gram = torch.mm(a.value(), a.value().t());
        squares.add_(rowSum(torch.mm(b.value(), gram).mul_(b.value())), new Scalar(s * s));
        gain = scope.escape(magnitude.value().div(squares.sqrt_()));
      }
    }
    return gain;
  }

  private static Tensor rowSum(Tensor x) {
    return x.sum(new long[] {1}, false, null);
  }

  /** The input of A: x, or what dropout leaves of it, still to be multiplied by its scale. */
  Tensor input(Pass pass, Tensor x) {
    if (pass.dropout() == null) {
      return x;
    }
    Tensor dropped = pass.work().take("dropped", x.size(0), x.size(1));
    return mask(pass, x).drop(x, dropped);
  }

  private DropoutMask.Placed mask(Pass pass, Tensor x) {
    long seed = DropoutMask.mix(pass.dropoutSeed() + module * 0x632be59bd9b4e019L);
    return pass.dropout().at(x, seed, pass.work());
  }

  /** S of the class comment. */
  Scalar updateScale(Pass pass) {
    boolean drops = pass != null && pass.dropout() != null;
    return new Scalar(drops ? scaling * pass.dropout().scale() : (double) scaling);
  }

  /** {@code h = input A^T}, kept on the tape. */
  Tensor shrink(Pass pass, Tensor input, String name) {
    Tensor h = shrunk(pass, input.size(0), name);
    torch.mm_out(h, input, a().t());
    return h;
  }

  /**
   * Writes {@code y = S h (g B)^T}, to which the base's product is added. In this order both are
   * rounded as one sum: a bfloat16 y of the base's product alone would lie on its grid already, and
   * an update of less than half its step would round away from every element.
   */
  void expand(Pass pass, Tensor h, Tensor y) {
    y.addmm_(h, scaledB().t(), new Scalar(0.0), updateScale(pass));
  }

  /** As {@link #expand}, added to what y holds. */
  void addExpanded(Pass pass, Tensor h, Tensor y) {
    y.addmm_(h, scaledB().t(), new Scalar(1.0), updateScale(pass));
  }

  private Tensor shrunk(Pass pass, long rows, String name) {
    return pass.tape().take(name + ".h", rows, rank());
  }

  /**
   * Adds the gradients of A and B, and the update's part of the input's gradient.
   *
   * @param w the base's weight if its product of the dropped-out input counts too (DoRA with
   *     dropout: {@code dx += mask (dy (g - 1)) W}); else null
   * @param dx null if not wanted
   */
  void backward(Pass pass, Tensor x, Tensor dy, Tensor w, Tensor dx, String name) {
    Tensor h = shrunk(pass, dy.size(0), name);
    Tensor dh = torch.mm(dy, scaledB()).mul_(updateScale(pass));
    addToB(pass, dy, h);
    if (pass.dropout() == null) {
      accumulate(a, dh, x, new Scalar(1.0));
      if (dx != null) {
        dx.addmm_(dh, a());
      }
      return;
    }
    DropoutMask.Placed mask = mask(pass, x);
    Tensor dropped = pass.work().take("dropped", x.size(0), x.size(1));
    accumulate(a, dh, mask.drop(x, dropped), new Scalar(1.0));
    if (dx != null) {
      torch.mm_out(dropped, dh, a());
      if (w != null) {
        Tensor scaled = dy.mul(gain.sub(new Scalar(1.0))).to(type);
        dropped.addmm_(scaled, w, new Scalar(1.0), new Scalar(pass.dropout().scale()));
      }
      mask.addDropped(dropped, dx);
    }
  }

  void addToB(Pass pass, Tensor dy, Tensor h) {
    if (dora()) {
      Tensor db = torch.mm(dy.t(), h).to(ScalarType.Float).mul_(gain.view(-1, 1));
      b.grad().add_(db, updateScale(pass));
    } else {
      accumulate(b, dy, h, updateScale(pass));
    }
  }

  Parameter aParameter() {
    return a;
  }

  Parameter bParameter() {
    return b;
  }

  /** Adds {@code scale * left^T right} to a gradient, summed in float32. */
  static void accumulate(Parameter into, Tensor left, Tensor right, Scalar scale) {
    if (left.scalar_type().intern() == ScalarType.Float) {
      into.grad().addmm_(left.t(), right, new Scalar(1.0), scale);
    } else {
      into.grad().add_(torch.mm(left.t(), right), scale);
    }
  }

  /**
   * Adds the magnitude's gradient.
   *
   * @param y the layer's output without bias, {@code g * v}
   */
  void magnitudeFromOutput(Tensor dy, Tensor y) {
    magnitude.grad().add_(columnSum(dy, y).div_(magnitude.value()));
  }

  /**
   * Adds the magnitude's gradient.
   *
   * @param v what g was multiplied with
   */
  void magnitudeFromDirection(Tensor dy, Tensor v) {
    magnitude.grad().add_(columnSum(dy, v).mul_(gain).div_(magnitude.value()));
  }

  private Tensor columnSum(Tensor dy, Tensor y) {
    TrainKernels kernels = TrainKernels.on(dy);
    if (kernels != null) {
      Tensor sums = torch.empty_like(magnitude.value());
      kernels.columnDots(dy, y, sums);
      return sums;
    }
    return dy.mul(y)
        .sum(new long[] {0}, false, new org.bytedeco.pytorch.ScalarTypeOptional(ScalarType.Float));
  }

  /** Writes {@code g * W}. */
  Tensor scaled(Tensor w, Buffers work) {
    Tensor out = work.take("scaled." + w.size(0) + "." + w.size(1), w.size(0), w.size(1));
    return torch.mul_out(out, w, gain(w).view(-1, 1));
  }

  private void closeDerived() {
    for (Tensor tensor : new Tensor[] {aTyped, bTyped, gain}) {
      if (tensor != null) {
        tensor.close();
      }
    }
    aTyped = null;
    bTyped = null;
    gain = null;
  }

  @Override
  public void close() {
    closeDerived();
    if (baseSquares != null) {
      baseSquares.close();
    }
  }
}
