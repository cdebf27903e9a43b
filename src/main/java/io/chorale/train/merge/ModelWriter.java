package io.chorale.train.merge;

import io.chorale.format.TensorFileOutput;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import io.chorale.train.rounding.FourBit;
import io.chorale.train.rounding.MergedRounding;
import io.chorale.train.rounding.Rounding;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.function.LongConsumer;

/**
 * Streams merged matrices into a file and counts what survives where they become 4-bit. A matrix
 * that the adapter leaves alone and that is stored in the wanted type keeps its bytes. One thread.
 */
final class ModelWriter {
  private final LongConsumer progress;
  private final SurvivalReport survival;
  private final Rounding rounding;
  private final int layers;
  private long doneBytes;

  /**
   * @param progress told the bytes written so far
   * @param survival takes in every adapted matrix that becomes 4-bit
   * @param rounding of adapted matrices whose base is in the wanted 4-bit format
   * @param layers of the model
   */
  ModelWriter(LongConsumer progress, SurvivalReport survival, Rounding rounding, int layers) {
    this.progress = progress;
    this.survival = survival;
    this.rounding = rounding;
    this.layers = layers;
  }

  void append(TensorFileOutput out, ByteBuffer bytes) throws IOException {
    doneBytes += bytes.remaining();
    out.append(bytes);
    progress.accept(doneBytes);
  }

  /** A vector of floats in a plain float type. */
  void vector(TensorFileOutput out, String name, TensorType type, float[] values)
      throws IOException {
    append(out, RowPacker.pack(name, type, 1, values.length, values));
  }

  /**
   * A matrix.
   *
   * @param sourceRows for each row written, which row it is; null for all in their order
   */
  void matrix(TensorFileOutput out, MergedMatrix m, TensorType type, int[] sourceRows)
      throws IOException {
    if (!m.changed() && m.base() instanceof GgmlMatrix stored && stored.type() == type) {
      append(out, (sourceRows == null ? stored : stored.permutedRows(sourceRows)).blocks());
      return;
    }
    boolean measured = type == TensorType.Q4_0 || type == TensorType.Q4_1;
    int cols = m.cols();
    if (measured && m.changed() && rounds(FourBit.valueOf(type.name()), m)) {
      GgmlMatrix kept = (GgmlMatrix) rounded(FourBit.valueOf(type.name()), m);
      float[] all = new float[Math.multiplyExact(m.rows(), cols)];
      m.read(0, m.rows(), all);
      measure(m, 0, m.rows(), all, kept, type);
      append(out, (sourceRows == null ? kept : kept.permutedRows(sourceRows)).blocks());
      return;
    }
    if (sourceRows != null) { // q and k are small enough to be moved around whole
      float[] all = new float[Math.multiplyExact(m.rows(), cols)];
      m.read(0, m.rows(), all);
      ByteBuffer packed = RowPacker.pack(m.id().toString(), type, m.rows(), cols, all);
      GgmlMatrix matrix = new GgmlMatrix(type, m.rows(), cols, packed);
      if (measured && m.changed()) {
        measure(m, 0, m.rows(), all, matrix, type);
      }
      append(out, matrix.permutedRows(sourceRows).blocks());
      return;
    }
    float[] x = new float[m.rowsAtOnce() * cols];
    for (int from = 0; from < m.rows(); from += m.rowsAtOnce()) {
      int to = Math.min(m.rows(), from + m.rowsAtOnce());
      m.read(from, to, x);
      ByteBuffer packed = RowPacker.pack(m.id().toString(), type, to - from, cols, x);
      if (measured && m.changed()) {
        measure(m, from, to, x, new GgmlMatrix(type, to - from, cols, packed.duplicate()), type);
      }
      append(out, packed);
    }
  }

  /** The whole matrix in NF4, its own if it has these bytes already. */
  Nf4Matrix nf4(MergedMatrix m, boolean doubleQuant) {
    if (!m.changed()
        && m.base() instanceof Nf4Matrix stored
        && stored.doubleQuant().isPresent() == doubleQuant) {
      return stored;
    }
    float[] x = new float[Math.multiplyExact(m.rows(), m.cols())];
    m.read(0, m.rows(), x);
    Nf4Matrix packed =
        m.changed() && rounds(FourBit.NF4, m)
            ? (Nf4Matrix) rounded(FourBit.NF4, m)
            : RowPacker.nf4(m.id().toString(), m.rows(), m.cols(), x, doubleQuant);
    if (m.changed()) {
      float[] base = new float[x.length];
      m.base().dequantizeRows(0, m.rows(), base);
      float[] wanted = x;
      if (!(m.base() instanceof Nf4Matrix)) {
        wanted = shifted(x, base, RowPacker.nf4("base", m.rows(), m.cols(), base, doubleQuant));
      }
      float[] kept = new float[x.length];
      packed.dequantizeRows(0, m.rows(), kept);
      survival.add(m.id().layer(), x.length, base, wanted, kept);
    }
    return packed;
  }

  private boolean rounds(FourBit format, MergedMatrix m) {
    return new MergedRounding(format, rounding).keepsScalesOf(m.base());
  }

  private PackedMatrix rounded(FourBit format, MergedMatrix m) {
    try {
      return new MergedRounding(format, rounding).round(m.base(), m.id().index(layers), m::read);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(m.id() + ": " + e.getMessage(), e);
    }
  }

  private void measure(
      MergedMatrix m, int from, int to, float[] merged, PackedMatrix rounded, TensorType type) {
    int count = (to - from) * m.cols();
    float[] base = new float[count];
    m.base().dequantizeRows(from, to, base);
    float[] wanted = Arrays.copyOf(merged, count);
    if (!(m.base() instanceof GgmlMatrix stored && stored.type() == type)) {
      ByteBuffer packed = RowPacker.pack("base", type, to - from, m.cols(), base);
      wanted = shifted(wanted, base, new GgmlMatrix(type, to - from, m.cols(), packed));
    }
    float[] kept = new float[count];
    rounded.dequantizeRows(0, to - from, kept);
    survival.add(m.id().layer(), count, base, wanted, kept);
  }

  /**
   * For a base that is not 4-bit itself: the comparison is with the base as it would be rounded,
   * and the wanted change is the same.
   *
   * @param base becomes the rounded base
   */
  private static float[] shifted(float[] merged, float[] base, PackedMatrix roundedBase) {
    float[] rounded = new float[base.length];
    roundedBase.dequantizeRows(0, roundedBase.rows(), rounded);
    float[] wanted = new float[base.length];
    for (int i = 0; i < base.length; i++) {
      wanted[i] = rounded[i] + (merged[i] - base[i]);
      base[i] = rounded[i];
    }
    return wanted;
  }

  /** The stored type of a weight if it is a float type, else {@code otherwise}. */
  static TensorType floatType(PackedMatrix weight, TensorType otherwise) {
    return weight instanceof GgmlMatrix g
            && (g.type() == TensorType.F32
                || g.type() == TensorType.F16
                || g.type() == TensorType.BF16)
        ? g.type()
        : otherwise;
  }
}
