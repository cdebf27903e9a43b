package io.chorale.train.merge;

import io.chorale.format.TensorData;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.quant.PackedMatrix;
import io.chorale.train.rounding.LowRankRows;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * One module's weight with the adapter in it, computed by rows on demand:
 *
 * <pre>
 *   linear     W'[o] = m[o] / |V[o]| * V[o]           V = W + scaling * B A      [out, in]
 *   embedding  W'[:, h] = m[h] / |V[:, h]| * V[:, h]  V = W + scaling * (B A)^T  [vocab, hidden]
 * </pre>
 *
 * without the factor if there is no magnitude. Sums are float64, the result is rounded to float32
 * once. Memory: A and B in float64. Any thread; rows are computed on the common pool.
 *
 * <p>Source: Hu et al. 2021, arXiv:2106.09685; Liu et al. 2024, arXiv:2402.09353, eq. 5; PEFT
 * merge_and_unload.
 */
final class MergedMatrix {
  private static final int CHUNK = 1 << 20;

  private final ModuleId id;
  private final PackedMatrix base;
  private final PackedMatrix replacement;

  /** Adds the update to rows; null for none. */
  private final LowRankRows update;

  private final float[] magnitude;

  /** Of an embedding: magnitude / norm for each column; null else. */
  private double[] columnFactors;

  /**
   * @param module null if the adapter leaves the module alone
   * @param replacement of the module, as a matrix; null if it has none
   */
  MergedMatrix(ModuleId id, PackedMatrix base, LoraModule module, PackedMatrix replacement) {
    this.id = id;
    this.base = base;
    this.replacement = replacement;
    boolean updated = module != null && replacement == null;
    this.magnitude = updated && module.magnitude() != null ? module.magnitude().toFloats() : null;
    this.update = updated ? update(id, base, module) : null;
  }

  private static LowRankRows update(ModuleId id, PackedMatrix base, LoraModule module) {
    int rank = module.rank();
    if (id.target() == LoraTarget.EMBED_TOKENS) {
      double[] left = transposed(module.a(), module.scaling());
      return new LowRankRows(left, transposed(module.b(), 1), rank, base.cols());
    }
    float[] b = module.b().toFloats();
    return LowRankRows.of(b, module.a().toFloats(), rank, base.cols(), module.scaling());
  }

  ModuleId id() {
    return id;
  }

  int rows() {
    return base.rows();
  }

  int cols() {
    return base.cols();
  }

  /** The base's matrix, as stored. */
  PackedMatrix base() {
    return base;
  }

  boolean changed() {
    return update != null || replacement != null;
  }

  /** Rows that a million floats hold, at least one. */
  int rowsAtOnce() {
    return Math.max(1, Math.min(rows(), CHUNK / cols()));
  }

  /**
   * Writes rows {@code from .. to-1} of the merged matrix.
   *
   * @param out at least {@code (to - from) * cols} floats
   */
  void read(int from, int to, float[] out) {
    if (replacement != null) {
      replacement.dequantizeRows(from, to, out);
      return;
    }
    base.dequantizeRows(from, to, out);
    if (update == null) {
      return;
    }
    double[] columns = magnitude != null && byColumn() ? columnFactors() : null;
    IntStream.range(from, to)
        .parallel()
        .forEach(
            row -> {
              double[] v = update.row(row, out, (row - from) * cols());
              if (columns != null) {
                for (int c = 0; c < v.length; c++) {
                  v[c] *= columns[c];
                }
              } else if (magnitude != null) {
                scale(v, magnitude[row] / norm(v));
              }
              for (int c = 0; c < v.length; c++) {
                out[(row - from) * cols() + c] = (float) v[c];
              }
            });
  }

  /** How much DoRA scales each output, magnitude / norm; empty without. Reads the whole matrix. */
  Optional<double[]> outputFactors() {
    if (magnitude == null || byColumn()) {
      return Optional.empty();
    }
    double[] factors = new double[rows()];
    float[] rows = new float[rowsAtOnce() * cols()];
    for (int from = 0; from < rows(); from += rowsAtOnce()) {
      int first = from;
      int to = Math.min(rows(), from + rowsAtOnce());
      base.dequantizeRows(from, to, rows);
      IntStream.range(from, to)
          .parallel()
          .forEach(
              r -> factors[r] = magnitude[r] / norm(update.row(r, rows, (r - first) * cols())));
    }
    return Optional.of(factors);
  }

  private boolean byColumn() {
    return id.target() == LoraTarget.EMBED_TOKENS;
  }

  private double[] columnFactors() {
    if (columnFactors == null) {
      double[] sums = new double[cols()];
      float[] rows = new float[rowsAtOnce() * cols()];
      for (int from = 0; from < rows(); from += rowsAtOnce()) {
        int to = Math.min(rows(), from + rowsAtOnce());
        base.dequantizeRows(from, to, rows);
        for (int row = from; row < to; row++) {
          double[] v = update.row(row, rows, (row - from) * cols());
          for (int c = 0; c < v.length; c++) {
            sums[c] += v[c] * v[c];
          }
        }
      }
      for (int c = 0; c < sums.length; c++) {
        sums[c] = magnitude[c] / Math.sqrt(sums[c]);
      }
      columnFactors = sums;
    }
    return columnFactors;
  }

  private static double norm(double[] v) {
    double sum = 0;
    for (double x : v) {
      sum += x * x;
    }
    return Math.sqrt(sum);
  }

  private static void scale(double[] v, double factor) {
    for (int c = 0; c < v.length; c++) {
      v[c] *= factor;
    }
  }

  private static double[] transposed(TensorData tensor, double factor) {
    double[] values = LowRankRows.doubles(tensor.toFloats(), factor);
    int rows = (int) tensor.shape()[0];
    int cols = (int) tensor.shape()[1];
    double[] out = new double[values.length];
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < cols; c++) {
        out[c * rows + r] = values[r * cols + c];
      }
    }
    return out;
  }
}
