package io.chorale.kernel;

import io.chorale.quant.PackedMatrix;
import io.chorale.tensor.GradMode;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import java.util.Locale;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * {@link Ops} on libtorch: the reference on the CPU, the path on CUDA, the same code for both. On
 * the CPU weights are dequantized to float32 at load; with {@link WeightForm#PACKED} (always on
 * CUDA) Q4_0, Q4_1 and NF4 weights stay 4-bit and one matrix at a time is dequantized for its
 * product.
 *
 * <p>Engine thread. Within 1e-4 of float64 on {@code OpsContract}'s inputs.
 */
public final class TorchOps implements Ops {

  /** How 4-bit weights are kept. */
  public enum WeightForm {
    DENSE,
    PACKED
  }

  private final TorchDevice device;
  private final WeightForm form;

  public TorchOps(TorchDevice device, WeightForm form) {
    this.device = device;
    this.form = form;
  }

  @Override
  public String name() {
    return "torch-" + device.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public ThreadBinding bindThread() {
    GradMode noGrad = GradMode.off();
    return noGrad::close;
  }

  static TensorVector list(Tensor... tensors) {
    return new TensorVector(tensors);
  }

  @Override
  public Matrix matrix(int rows, int cols) {
    try (Scope scope = Scope.open()) {
      return new TorchMatrix(scope.escape(device.zeros(ScalarType.Float, rows, cols)), rows, cols);
    }
  }

  @Override
  public Matrix matrix(int rows, int cols, float[] values) {
    try (Scope scope = Scope.open()) {
      return new TorchMatrix(scope.escape(device.floats(values, rows, cols)), rows, cols);
    }
  }

  @Override
  public Weight weight(PackedMatrix packed) {
    return form == WeightForm.DENSE
        ? TorchWeight.dense(packed, device)
        : TorchWeight.packed(packed, device);
  }

  private record TorchKvPages(Tensor[] keys, Tensor[] values) implements KvPages {
    @Override
    public long bytes() {
      return 8L * keys.length * keys[0].numel();
    }

    @Override
    public void close() {
      for (int layer = 0; layer < keys.length; layer++) {
        keys[layer].close();
        values[layer].close();
      }
    }
  }

  @Override
  public int kvPositionBytes(int kvHeads, int headDim) {
    return 2 * Float.BYTES * kvHeads * headDim;
  }

  @Override
  public KvPages kvPages(int layers, int kvSlots, AttentionShape shape) {
    Tensor[] keys = new Tensor[layers];
    Tensor[] values = new Tensor[layers];
    for (int layer = 0; layer < layers; layer++) {
      try (Scope scope = Scope.open()) {
        long[] size = {kvSlots, shape.kvHeads(), shape.headDim()};
        keys[layer] = scope.escape(device.zeros(ScalarType.Float, size));
        values[layer] = scope.escape(device.zeros(ScalarType.Float, size));
      }
    }
    return new TorchKvPages(keys, values);
  }

  @Override
  public LoraTable loraTable(int slots, Weight[] base, int embeddingModule) {
    return new TorchLoraTable(
        device, slots, base, embeddingModule, packed -> TorchWeight.dense(packed, device));
  }

  @Override
  public StepRows begin(ForwardInputs inputs, float[] inverseFrequencies, LoraTable lora) {
    return new TorchStepRows(inputs, inverseFrequencies, (TorchLoraTable) lora, device);
  }

  @Override
  public void embed(Linear table, StepRows rows, Matrix out) {
    TorchStepRows step = (TorchStepRows) rows;
    try (Scope scope = Scope.open()) {
      TorchWeight weight = (TorchWeight) table.weight();
      TorchMatrix.of(out).copy_(weight.rowsOf(step.tokenIds));
      TorchStepRows.Segments segments = step.all();
      for (TorchStepRows.Segment segment : segments.list()) {
        TorchLoraTable.Entry entry = segments.table().entry(segment.slot(), table.module());
        if (entry == null) {
          continue;
        }
        Tensor ids = segment.select(step.tokenIds);
        if (entry.replacement() != null) {
          segment.put(TorchMatrix.of(out), entry.replacement().rowsOf(ids));
        } else {
          Tensor shrunk = entry.a().index_select(1, ids).t();
          apply(segment, entry, torch.mm(shrunk, entry.b().t()), TorchMatrix.of(out));
        }
      }
    }
  }

  @Override
  public void rmsNorm(Matrix x, Matrix weight, float eps, Matrix out) {
    try (Scope scope = Scope.open()) {
      Tensor input = TorchMatrix.of(x);
      Tensor inverse =
          input.mul(input).mean(new long[] {1}, true, null).add_(new Scalar(eps)).rsqrt_();
      torch.mul_out(TorchMatrix.of(out), input, inverse);
      TorchMatrix.of(out).mul_(TorchMatrix.of(weight));
    }
  }

  @Override
  public void linear(Matrix x, Linear linear, RowSlots slots, boolean accumulate, Matrix out) {
    TorchStepRows.Segments segments = (TorchStepRows.Segments) slots;
    TorchWeight weight = (TorchWeight) linear.weight();
    try (Scope scope = Scope.open()) {
      boolean rewrites = accumulate && rewritesRows(segments, linear.module());
      Tensor y;
      if (rewrites) {
        y = weight.product(TorchMatrix.of(x));
      } else if (accumulate) {
        y = TorchMatrix.of(out);
        y.addmm_(TorchMatrix.of(x), weight.dense().t());
      } else {
        y = TorchMatrix.of(out);
        multiply(TorchMatrix.of(x), weight.dense(), y);
      }
      for (TorchStepRows.Segment segment : segments.list()) {
        TorchLoraTable.Entry entry = segments.table().entry(segment.slot(), linear.module());
        if (entry != null) {
          adapt(TorchMatrix.of(x), segment, entry, y);
        }
      }
      if (linear.bias() != null) {
        y.add_(TorchMatrix.of(linear.bias()));
      }
      if (rewrites) {
        TorchMatrix.of(out).add_(y);
      }
    }
  }

  /** {@code y = x W^T}; a single row goes through the matrix-vector product, twice as fast. */
  private static void multiply(Tensor x, Tensor w, Tensor y) {
    if (x.size(0) == 1) {
      torch.mv_out(y.view(-1), w, x.view(-1));
    } else {
      torch.mm_out(y, x, w.t());
    }
  }

  private static boolean rewritesRows(TorchStepRows.Segments segments, int module) {
    for (TorchStepRows.Segment segment : segments.list()) {
      TorchLoraTable.Entry entry = segments.table().entry(segment.slot(), module);
      if (entry != null && entry.rewritesRows()) {
        return true;
      }
    }
    return false;
  }

  /** One adapter's rows of y: shrink to the rank, expand to the output, then scale or replace. */
  private static void adapt(
      Tensor x, TorchStepRows.Segment segment, TorchLoraTable.Entry entry, Tensor y) {
    Tensor input = segment.select(x);
    if (entry.replacement() != null) {
      segment.put(y, entry.replacement().product(input));
      return;
    }
    Tensor update = torch.mm(torch.mm(input, entry.a().t()), entry.b().t());
    if (entry.bias() != null) {
      update.add_(entry.bias());
    }
    apply(segment, entry, update, y);
  }

  /** Adds the update to the segment's rows; with DoRA scales their sum. */
  private static void apply(
      TorchStepRows.Segment segment, TorchLoraTable.Entry entry, Tensor update, Tensor y) {
    if (entry.rowScale() == null) {
      segment.add(y, update);
    } else {
      segment.put(y, update.add_(segment.select(y)).mul_(entry.rowScale()));
    }
  }

  @Override
  public void ropeAndStoreKv(
      Matrix q, Matrix k, Matrix v, StepRows rows, KvPages pages, int layer) {
    TorchStepRows step = (TorchStepRows) rows;
    TorchKvPages kv = (TorchKvPages) pages;
    try (Scope scope = Scope.open()) {
      long headDim = 2 * step.cos.size(2);
      rotate(TorchMatrix.of(q).view(q.rows(), -1, headDim), step);
      Tensor keys = TorchMatrix.of(k).view(k.rows(), -1, headDim);
      rotate(keys, step);
      kv.keys()[layer].index_copy_(0, step.kvSlots, keys);
      kv.values()[layer].index_copy_(
          0, step.kvSlots, TorchMatrix.of(v).view(v.rows(), -1, headDim));
    }
  }

  /** In place on [rows, heads, headDim]: (a, b) becomes (a cos - b sin, b cos + a sin). */
  private static void rotate(Tensor heads, TorchStepRows step) {
    long half = step.cos.size(2);
    Tensor a = heads.narrow(2, 0, half);
    Tensor b = heads.narrow(2, half, half);
    Tensor rotatedA = a.mul(step.cos).sub_(b.mul(step.sin));
    Tensor rotatedB = b.mul(step.cos).add_(a.mul(step.sin));
    a.copy_(rotatedA);
    b.copy_(rotatedB);
  }

  @Override
  public void pagedAttention(
      Matrix q, StepRows rows, KvPages pages, int layer, AttentionShape shape, Matrix out) {
    TorchStepRows step = (TorchStepRows) rows;
    TorchKvPages kv = (TorchKvPages) pages;
    for (TorchStepRows.Span span : step.spans(shape.window())) {
      try (Scope scope = Scope.open()) {
        long kvHeads = shape.kvHeads();
        long group = shape.heads() / kvHeads;
        long n = span.rows();
        long length = span.context().size(0);
        Tensor keys = kv.keys()[layer].index_select(0, span.context()).permute(1, 2, 0);
        Tensor values = kv.values()[layer].index_select(0, span.context()).permute(1, 0, 2);
        Tensor query =
            TorchMatrix.of(q)
                .narrow(0, span.firstRow(), n)
                .view(n, kvHeads, group, shape.headDim())
                .permute(1, 2, 0, 3)
                .reshape(kvHeads, group * n, shape.headDim());
        Tensor scores = torch.bmm(query, keys).mul_(new Scalar(1.0 / Math.sqrt(shape.headDim())));
        if (span.mask() != null) {
          scores.view(kvHeads, group, n, length).add_(span.mask());
        }
        Tensor mixed = torch.bmm(torch.softmax(scores, -1), values);
        TorchMatrix.of(out)
            .narrow(0, span.firstRow(), n)
            .view(n, kvHeads, group, shape.headDim())
            .copy_(mixed.view(kvHeads, group, n, shape.headDim()).permute(2, 0, 1, 3));
      }
    }
  }

  @Override
  public void siluMul(Matrix gate, Matrix up) {
    try (Scope scope = Scope.open()) {
      torch.silu_(TorchMatrix.of(gate));
      TorchMatrix.of(gate).mul_(TorchMatrix.of(up));
    }
  }

  @Override
  public void gatherLogitRows(Matrix x, StepRows rows, Matrix out) {
    try (Scope scope = Scope.open()) {
      TorchMatrix.of(out)
          .copy_(TorchMatrix.of(x).index_select(0, ((TorchStepRows) rows).logitIndex));
    }
  }

  @Override
  public void read(Matrix matrix, float[] out) {
    try (Scope scope = Scope.open()) {
      device.read(TorchMatrix.of(matrix), out, 0, matrix.rows() * matrix.cols());
    }
  }
}
