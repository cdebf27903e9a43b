package io.chorale.train.model.math;

import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import java.util.HashMap;
import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Causal attention with grouped heads, each packed sequence by itself, a tile of queries at a time
 * over the keys it can see, so that scores take {@code heads * TILE * length} elements. Nothing but
 * q, k and v is kept for backward; probabilities are computed again.
 *
 * <pre>
 *   P = softmax(q k^T / sqrt(headDim) + mask)    out = P v
 *   dv = P^T dout    dS = P (dout v^T - rowsum(dout out))    dq = dS k / sqrt(d)    dk = dS^T q / sqrt(d)
 * </pre>
 *
 * <p>Query heads of one key head are stacked as rows: products are [kvHeads, group * tile, ...].
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

  /** Queries {@code from .. from+rows-1} of a sequence see keys {@code firstKey .. from+rows-1}. */
  private record Tile(int from, int rows, int firstKey) {
    int keys() {
      return from + rows - firstKey;
    }
  }

  private Tile tile(int from, int length) {
    int firstKey = window == 0 ? 0 : Math.max(0, from - window + 1);
    return new Tile(from, Math.min(TILE, length - from), firstKey);
  }

  /**
   * @param q [rows, heads * headDim], rotated; k, v [rows, kvHeads * headDim]
   * @param starts first row of each sequence, then the number of rows
   * @param out [rows, heads * headDim]
   */
  public void forward(Tensor q, Tensor k, Tensor v, int[] starts, Tensor out) {
    for (int s = 0; s + 1 < starts.length; s++) {
      int length = starts[s + 1] - starts[s];
      for (int from = 0; from < length; from += TILE) {
        try (Scope scope = Scope.open()) {
          Tile tile = tile(from, length);
          Tensor p = probabilities(queries(q, starts[s], tile), keys(k, starts[s], tile), tile);
          Tensor mixed = torch.bmm(p, keys(v, starts[s], tile));
          put(mixed, out, starts[s], tile);
        }
      }
    }
  }

  /**
   * @param out what forward gave
   * @param dq overwritten; dk and dv too
   */
  public void backward(
      Tensor dOut, Tensor q, Tensor k, Tensor v, Tensor out, int[] starts, Gradients into) {
    for (int s = 0; s + 1 < starts.length; s++) {
      try (Scope scope = Scope.open()) {
        int start = starts[s];
        int length = starts[s + 1] - start;
        Tensor dk = buffers.take("attention.dk", kvHeads, length, headDim).zero_();
        Tensor dv = buffers.take("attention.dv", kvHeads, length, headDim).zero_();
        for (int from = 0; from < length; from += TILE) {
          try (Scope step = Scope.open()) {
            Tile tile = tile(from, length);
            Tensor dkSeen = dk.narrow(1, tile.firstKey(), tile.keys());
            Tensor dvSeen = dv.narrow(1, tile.firstKey(), tile.keys());
            Tensor queries = queries(q, start, tile);
            Tensor keys = keys(k, start, tile);
            Tensor dMixed = heads(dOut, start, tile);
            Tensor p = probabilities(queries, keys, tile);
            dvSeen.baddbmm_(p.transpose(1, 2), dMixed);
            Tensor dot = rowSum(dMixed.mul(heads(out, start, tile)));
            Tensor ds = scores("attention.ds", tile);
            torch.bmm_out(ds, dMixed, keys(v, start, tile).transpose(1, 2));
            ds.sub_(dot).mul_(p);
            put(torch.bmm(ds, keys).mul_(new Scalar(scale)), into.dq(), start, tile);
            dkSeen.baddbmm_(ds.transpose(1, 2), queries);
          }
        }
        into.dk().narrow(0, start, length).view(length, kvHeads, headDim).copy_(dk.transpose(0, 1));
        into.dv().narrow(0, start, length).view(length, kvHeads, headDim).copy_(dv.transpose(0, 1));
      }
    }
  }

  /** Where backward writes, shaped as q, k and v. */
  public record Gradients(Tensor dq, Tensor dk, Tensor dv) {}

  private static Tensor rowSum(Tensor x) {
    return x.sum(new long[] {2}, true, null);
  }

  private Tensor scores(String name, Tile tile) {
    return buffers.take(name, kvHeads, (long) group * tile.rows(), tile.keys());
  }

  private Tensor probabilities(Tensor queries, Tensor keys, Tile tile) {
    Tensor s = scores("attention.p", tile);
    torch.bmm_out(s, queries, keys.transpose(1, 2));
    mask(s, tile);
    return torch.softmax_out(s, s, -1);
  }

  private void mask(Tensor scores, Tile tile) {
    Tensor byQuery = scores.view(kvHeads, group, tile.rows(), tile.keys());
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

  private Tensor queries(Tensor q, int start, Tile tile) {
    return heads(q, start, tile).mul(new Scalar(scale));
  }

  /** A tile's rows as [kvHeads, group * rows, headDim]. */
  private Tensor heads(Tensor rows, int start, Tile tile) {
    return rows.narrow(0, start + (long) tile.from(), tile.rows())
        .view(tile.rows(), kvHeads, group, headDim)
        .permute(1, 2, 0, 3)
        .reshape(kvHeads, (long) group * tile.rows(), headDim);
  }

  private void put(Tensor heads, Tensor rows, int start, Tile tile) {
    rows.narrow(0, start + (long) tile.from(), tile.rows())
        .view(tile.rows(), kvHeads, group, headDim)
        .copy_(heads.view(kvHeads, group, tile.rows(), headDim).permute(2, 0, 1, 3));
  }

  /** The keys (or values) a tile sees, [kvHeads, keys, headDim]; a view. */
  private Tensor keys(Tensor k, int start, Tile tile) {
    return k.narrow(0, start + (long) tile.firstKey(), tile.keys())
        .view(tile.keys(), kvHeads, headDim)
        .transpose(0, 1);
  }

  @Override
  public void close() {
    masks.values().forEach(Tensor::close);
    masks.clear();
  }
}
