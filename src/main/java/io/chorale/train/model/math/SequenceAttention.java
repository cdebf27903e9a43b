package io.chorale.train.model.math;

import io.chorale.kernel.train.TrainKernels;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import java.util.HashMap;
import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Causal attention with grouped heads, each packed sequence by itself but those of about one length
 * in one operation ({@link SequenceBundles}), a tile of queries at a time over the keys it can see,
 * so that scores take {@code count * heads * TILE * length} elements. Nothing but q, k and v is
 * kept for backward; probabilities are computed again.
 *
 * <pre>
 *   P = softmax(q k^T / sqrt(headDim) + mask)    out = P v
 *   dv = P^T dout    dS = P (dout v^T - rowsum(dout out))    dq = dS k / sqrt(d)    dk = dS^T q / sqrt(d)
 * </pre>
 *
 * <p>Query heads of one key head are stacked as rows: products are [count * kvHeads, group * tile,
 * ...].
 */
public final class SequenceAttention implements AutoCloseable {
  private static final int TILE = 128;

  private final int kvHeads;
  private final int group;
  private final int headDim;
  private final int window;
  private final double scale;
  private final Buffers buffers;
  private final Map<Long, Tensor> masks = new HashMap<>();

  /**
   * @param window attend to this many last positions; 0 is all
   */
  public SequenceAttention(int heads, int kvHeads, int headDim, int window, Buffers buffers) {
    this.kvHeads = kvHeads;
    this.group = heads / kvHeads;
    this.headDim = headDim;
    this.window = window;
    this.scale = 1.0 / Math.sqrt(headDim);
    this.buffers = buffers;
  }

  /**
   * Queries {@code from .. from+rows-1} of each sequence see keys {@code firstKey .. from+rows-1}.
   */
  private record Tile(int count, int length, int from, int rows, int firstKey) {
    int keys() {
      return from + rows - firstKey;
    }
  }

  private Tile tile(SequenceBundles.PlacedPlan plan, int from) {
    int firstKey = window == 0 ? 0 : Math.max(0, from - window + 1);
    int rows = Math.min(TILE, plan.length() - from);
    return new Tile(plan.count(), plan.length(), from, rows, firstKey);
  }

  /**
   * @param q [rows, heads * headDim], rotated; k, v [rows, kvHeads * headDim]
   * @param out [rows, heads * headDim]; zero for padding, but for the last row: any finite values
   * @param logSums {@link #logSums}, for backward
   */
  public void forward(
      Tensor q, Tensor k, Tensor v, SequenceBundles.Placed bundles, Tensor out, Tensor logSums) {
    SequenceBundles.zeroAfter(out, bundles.used());
    TrainKernels kernels = TrainKernels.on(q);
    if (kernels != null) {
      kernels.attend(new TrainKernels.Attention(q, k, v, out, logSums), shape(bundles));
    } else {
      forwardWithTorch(q, k, v, bundles, out);
    }
  }

  private int[] shape(SequenceBundles.Placed bundles) {
    int[] starts = bundles.starts();
    int[] shape = new int[4 + starts.length];
    shape[0] = heads();
    shape[1] = kvHeads;
    shape[2] = headDim;
    shape[3] = window;
    System.arraycopy(starts, 0, shape, 4, starts.length);
    return shape;
  }

  /** Where forward leaves the logarithm of each softmax's sum: a float32 for each row and head. */
  public Tensor logSums(Buffers tape, long rows) {
    return tape.take("logSums", rows, tape.type() == ScalarType.Float ? heads() : 2L * heads());
  }

  private int heads() {
    return kvHeads * group;
  }

  void forwardWithTorch(Tensor q, Tensor k, Tensor v, SequenceBundles.Placed bundles, Tensor out) {
    for (SequenceBundles.PlacedPlan plan : bundles.plans()) {
      try (Scope scope = Scope.open()) {
        Tensor qs = gather(q, plan, "attention.q");
        Tensor ks = gather(k, plan, "attention.k");
        Tensor vs = gather(v, plan, "attention.v");
        Tensor outs = target(out, plan, "attention.out");
        for (int from = 0; from < plan.length(); from += TILE) {
          try (Scope step = Scope.open()) {
            Tile tile = tile(plan, from);
            Tensor p = probabilities(queries(qs, tile), keys(ks, tile), tile);
            put(torch.bmm(p, keys(vs, tile)), outs, tile);
          }
        }
        scatter(outs, plan, out);
      }
    }
  }

  /**
   * @param a what forward took and gave
   * @param into overwritten; zero for padding, where dOut must be zero
   */
  public void backward(
      Tensor dOut, TrainKernels.Attention a, SequenceBundles.Placed bundles, Gradients into) {
    SequenceBundles.zeroAfter(into.dq(), bundles.used());
    SequenceBundles.zeroAfter(into.dk(), bundles.used());
    SequenceBundles.zeroAfter(into.dv(), bundles.used());
    TrainKernels kernels = TrainKernels.on(a.q());
    if (kernels != null) {
      Tensor[] targets = {into.dq(), into.dk(), into.dv()};
      kernels.attendBackward(a, dOut, targets, shape(bundles));
    } else {
      backwardWithTorch(dOut, a, bundles, into);
    }
  }

  void backwardWithTorch(
      Tensor dOut, TrainKernels.Attention a, SequenceBundles.Placed bundles, Gradients into) {
    for (SequenceBundles.PlacedPlan plan : bundles.plans()) {
      try (Scope scope = Scope.open()) {
        Rows rows =
            new Rows(
                gather(a.q(), plan, "attention.q"),
                gather(a.k(), plan, "attention.k"),
                gather(a.v(), plan, "attention.v"),
                gather(a.out(), plan, "attention.out"),
                gather(dOut, plan, "attention.dOut"));
        backward(rows, plan, into);
      }
    }
  }

  /** The rows of one bundle. */
  private record Rows(Tensor q, Tensor k, Tensor v, Tensor out, Tensor dOut) {}

  private void backward(Rows rows, SequenceBundles.PlacedPlan plan, Gradients into) {
    long batch = (long) plan.count() * kvHeads;
    Tensor dk = buffers.take("attention.dk", batch, plan.length(), headDim).zero_();
    Tensor dv = buffers.take("attention.dv", batch, plan.length(), headDim).zero_();
    Tensor dq = target(into.dq(), plan, "attention.dq");
    for (int from = 0; from < plan.length(); from += TILE) {
      try (Scope step = Scope.open()) {
        Tile tile = tile(plan, from);
        Tensor queries = queries(rows.q(), tile);
        Tensor keys = keys(rows.k(), tile);
        Tensor dMixed = heads(rows.dOut(), tile);
        Tensor p = probabilities(queries, keys, tile);
        dv.narrow(1, tile.firstKey(), tile.keys()).baddbmm_(p.transpose(1, 2), dMixed);
        Tensor dot = rowSum(dMixed.mul(heads(rows.out(), tile)));
        Tensor ds = scores("attention.ds", tile);
        torch.bmm_out(ds, dMixed, keys(rows.v(), tile).transpose(1, 2));
        ds.sub_(dot).mul_(p);
        put(torch.bmm(ds, keys).mul_(new Scalar(scale)), dq, tile);
        dk.narrow(1, tile.firstKey(), tile.keys()).baddbmm_(ds.transpose(1, 2), queries);
      }
    }
    scatter(dq, plan, into.dq());
    putKeys(dk, plan, into.dk());
    putKeys(dv, plan, into.dv());
  }

  /** Where backward writes, shaped as q, k and v. */
  public record Gradients(Tensor dq, Tensor dk, Tensor dv) {}

  /** A bundle's rows, one sequence after the other. */
  private Tensor gather(Tensor rows, SequenceBundles.PlacedPlan plan, String name) {
    if (plan.index() == null) {
      return rows.narrow(0, plan.start(), plan.rows());
    }
    Tensor into = buffers.take(name, plan.rows(), rows.size(1));
    return torch.index_select_out(into, rows, 0, plan.index());
  }

  /** Where a bundle's rows are written before {@link #scatter}. */
  private Tensor target(Tensor rows, SequenceBundles.PlacedPlan plan, String name) {
    return plan.index() == null
        ? rows.narrow(0, plan.start(), plan.rows())
        : buffers.take(name, plan.rows(), rows.size(1));
  }

  private static void scatter(Tensor bundle, SequenceBundles.PlacedPlan plan, Tensor rows) {
    if (plan.index() != null) {
      rows.index_copy_(0, plan.index(), bundle);
    }
  }

  private void putKeys(Tensor byHead, SequenceBundles.PlacedPlan plan, Tensor rows) {
    Tensor target = target(rows, plan, "attention.dkv");
    target
        .view(plan.count(), plan.length(), kvHeads, headDim)
        .copy_(byHead.view(plan.count(), kvHeads, plan.length(), headDim).transpose(1, 2));
    scatter(target, plan, rows);
  }

  private static Tensor rowSum(Tensor x) {
    return x.sum(new long[] {2}, true, null);
  }

  private Tensor scores(String name, Tile tile) {
    return buffers.take(
        name, (long) tile.count() * kvHeads, (long) group * tile.rows(), tile.keys());
  }

  private Tensor probabilities(Tensor queries, Tensor keys, Tile tile) {
    Tensor s = scores("attention.p", tile);
    torch.bmm_out(s, queries, keys.transpose(1, 2));
    mask(s, tile);
    return torch.softmax_out(s, s, -1);
  }

  private void mask(Tensor scores, Tile tile) {
    Tensor byQuery = scores.view((long) tile.count() * kvHeads, group, tile.rows(), tile.keys());
    if (window == 0) {
      Tensor diagonal = byQuery.narrow(3, tile.keys() - (long) tile.rows(), tile.rows());
      diagonal.add_(mask(TILE, TILE, 0).narrow(0, 0, tile.rows()).narrow(1, 0, tile.rows()));
    } else {
      byQuery.add_(mask(tile.rows(), tile.keys(), tile.from() - tile.firstKey()));
    }
  }

  /** 0 where query i, at position {@code i + ahead} of the keys, sees key j; else -infinity. */
  private Tensor mask(int rows, int keys, int ahead) {
    long key = ((long) rows << 42) + ((long) keys << 21) + ahead;
    return masks.computeIfAbsent(
        key,
        k -> {
          float[] values = new float[rows * keys];
          for (int i = 0; i < rows; i++) {
            for (int j = 0; j < keys; j++) {
              int back = i + ahead - j;
              boolean seen = back >= 0 && (window == 0 || back < window);
              values[i * keys + j] = seen ? 0 : Float.NEGATIVE_INFINITY;
            }
          }
          TorchDevice device = buffers.device();
          try (Scope scope = Scope.open()) {
            return scope.escape(
                device.floats(values, rows, keys).to(buffers.type(), false, true, null));
          }
        });
  }

  private Tensor queries(Tensor q, Tile tile) {
    return heads(q, tile).mul(new Scalar(scale));
  }

  /** A tile's rows as [count * kvHeads, group * rows, headDim]. */
  private Tensor heads(Tensor rows, Tile tile) {
    return rows.view(tile.count(), tile.length(), kvHeads, group, headDim)
        .narrow(1, tile.from(), tile.rows())
        .permute(0, 2, 3, 1, 4)
        .reshape((long) tile.count() * kvHeads, (long) group * tile.rows(), headDim);
  }

  private void put(Tensor heads, Tensor rows, Tile tile) {
    rows.view(tile.count(), tile.length(), kvHeads, group, headDim)
        .narrow(1, tile.from(), tile.rows())
        .copy_(
            heads.view(tile.count(), kvHeads, group, tile.rows(), headDim).permute(0, 3, 1, 2, 4));
  }

  /** The keys (or values) a tile sees, [count * kvHeads, keys, headDim]; a view if count is 1. */
  private Tensor keys(Tensor k, Tile tile) {
    return k.view(tile.count(), tile.length(), kvHeads, headDim)
        .narrow(1, tile.firstKey(), tile.keys())
        .transpose(1, 2)
        .reshape((long) tile.count() * kvHeads, tile.keys(), headDim);
  }

  @Override
  public void close() {
    masks.values().forEach(Tensor::close);
    masks.clear();
  }
}
