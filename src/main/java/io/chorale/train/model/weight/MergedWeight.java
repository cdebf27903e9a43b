package io.chorale.train.model.weight;

import io.chorale.quant.PackedMatrix;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.math.Buffers;
import io.chorale.train.rounding.LowRankRows;
import io.chorale.train.rounding.MergedRounding;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A base matrix with its low-rank update as a 4-bit merge would write it: {@code Q(W + scaling * B
 * A)} [rows, cols], byte for byte, rounded anew when the factors have changed. Held in 4 bits. The
 * trainer's thread; rows are computed on the common pool.
 */
public final class MergedWeight implements AutoCloseable {
  private final PackedMatrix base;
  private final MergedRounding rounding;
  private final int module;
  private final float scaling;
  private final TorchDevice device;
  private final ScalarType compute;
  private float[] a;
  private float[] b;
  private FrozenWeight rounded;

  /**
   * @param module its index in the model, as the merge has it
   * @param compute element type that it will be asked for
   */
  public MergedWeight(
      PackedMatrix base,
      MergedRounding rounding,
      int module,
      float scaling,
      TorchDevice device,
      ScalarType compute) {
    this.base = base;
    this.rounding = rounding;
    this.module = module;
    this.scaling = scaling;
    this.device = device;
    this.compute = compute;
  }

  /**
   * Takes the factors over.
   *
   * @param newA float32 [rank, cols]
   * @param newB float32 [rows, rank]
   */
  public void update(Tensor newA, Tensor newB) {
    float[] nextA = values(newA);
    float[] nextB = values(newB);
    if (rounded != null && Arrays.equals(a, nextA) && Arrays.equals(b, nextB)) {
      return;
    }
    a = nextA;
    b = nextB;
    close();
    LowRankRows rows = LowRankRows.of(b, a, (int) newA.size(0), base.cols(), scaling);
    round((from, to, out) -> merge(rows, from, to, out));
  }

  /** For a module without an update: the base, rounded once if it is not in the format. */
  public void withoutUpdate() {
    if (rounded == null) {
      round(base::dequantizeRows);
    }
  }

  private void round(MergedRounding.Rows rows) {
    rounded = FrozenWeight.of(rounding.round(base, module, rows), device, compute);
  }

  private void merge(LowRankRows rows, int from, int to, float[] out) {
    base.dequantizeRows(from, to, out);
    int cols = base.cols();
    double[] v = new double[cols];
    for (int row = from; row < to; row++) {
      int at = (row - from) * cols;
      rows.row(row, out, at, v);
      for (int c = 0; c < cols; c++) {
        out[at + c] = (float) v[c];
      }
    }
  }

  private float[] values(Tensor tensor) {
    float[] out = new float[Math.toIntExact(tensor.numel())];
    device.read(tensor, out, 0, out.length);
    return out;
  }

  /** Bytes of libtorch's memory that it holds. */
  public long heldBytes() {
    return rounded == null ? 0 : rounded.heldBytes();
  }

  /** As {@link FrozenWeight#dense}. */
  public Tensor dense(Buffers buffers, String name) {
    return rounded.dense(buffers, name);
  }

  @Override
  public void close() {
    if (rounded != null) {
      rounded.close();
      rounded = null;
    }
  }
}
