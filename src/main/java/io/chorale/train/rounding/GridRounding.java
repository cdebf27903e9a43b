package io.chorale.train.rounding;

import io.chorale.quant.AffineBlocks;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.TensorType;

/** Rounds rows onto the grid of a 4-bit matrix: its scales and mins stay, its codes move. */
final class GridRounding {
  private static final int BLOCK = AffineBlocks.BLOCK;
  private static final float[] CODE = Nf4Matrix.code();

  private final Rounding rounding;
  private final long seed;

  GridRounding(Rounding rounding, long seed) {
    this.rounding = rounding;
    this.seed = seed;
  }

  /**
   * Rows {@code from .. to-1} of a Q4_0 or Q4_1 matrix.
   *
   * @param x wanted values, {@code (to - from) * cols}
   * @param out where the blocks of the rows go, from 0
   */
  void affine(GgmlMatrix base, int from, int to, float[] x, byte[] out) {
    AffineBlocks grid = base.affineRows(from, to);
    base.blocks().get(from * base.rowBytes(), out, 0, (to - from) * base.rowBytes());
    int blockBytes = base.type().blockBytes();
    int header = base.type() == TensorType.Q4_1 ? 4 : 2;
    long first = (long) from * base.cols();
    byte[] codes = new byte[BLOCK];
    for (int b = 0; b < grid.scales().length; b++) {
      float scale = grid.scales()[b];
      if (scale == 0) {
        continue;
      }
      for (int i = 0; i < BLOCK; i++) {
        int at = b * BLOCK + i;
        float steps = (x[at] - grid.mins()[b]) / scale;
        codes[i] = code(steps, first + at);
      }
      int p = b * blockBytes + header;
      for (int j = 0; j < BLOCK / 2; j++) {
        out[p + j] = (byte) (codes[j] | codes[j + BLOCK / 2] << 4);
      }
    }
  }

  private byte code(float steps, long element) {
    float up = steps + 1 - rounding.threshold(seed, element);
    return (byte) (up <= 0 ? 0 : Math.min(15, (int) up));
  }

  /**
   * Rows of an NF4 matrix; they are whole bytes.
   *
   * @param scales of all blocks of the matrix
   * @param out of the whole matrix, two elements a byte
   */
  void nf4(Nf4Matrix base, float[] scales, int from, int to, float[] x, byte[] out) {
    long first = (long) from * base.cols();
    int count = (to - from) * base.cols();
    for (int i = 0; i < count; i += 2) {
      int high = nf4(x[i], scales, first + i);
      int low = i + 1 < count ? nf4(x[i + 1], scales, first + i + 1) : 0;
      out[(int) ((first + i) / 2)] = (byte) (high << 4 | low);
    }
  }

  private int nf4(float x, float[] scales, long element) {
    float scale = scales[(int) (element / Nf4Matrix.BLOCK_SIZE)];
    if (scale == 0) {
      return 7; // the code of 0
    }
    float v = x / scale;
    int below = 0;
    for (int half = 8; half > 0; half >>= 1) {
      below += v >= CODE[below + half] ? half : 0;
    }
    if (below == 15) {
      return 15;
    }
    float share = (v - CODE[below]) / (CODE[below + 1] - CODE[below]);
    return share >= rounding.threshold(seed, element) ? below + 1 : below;
  }
}
