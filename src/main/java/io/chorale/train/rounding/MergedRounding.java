package io.chorale.train.rounding;

import io.chorale.quant.BlockQuantizer;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.Nf4Quantizer;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.IntStream;

/**
 * Rounds a module's merged weight to 4 bits. Deterministic: the same values give the same bytes,
 * however the rows are cut.
 *
 * @param format of the result
 * @param rounding applies where the base has that format; a base in another one has no grid of it,
 *     and is always refitted
 */
public record MergedRounding(FourBit format, Rounding rounding) {
  /** Rows that are whole blocks in every format, whatever the columns. */
  private static final int BAND = 64;

  /**
   * Arrays of bands that are not being rounded now: as garbage they would be several times the
   * model's float32 size in every step of a merge-aware run. Not one for each thread: a thread that
   * waits inside of {@link Rows#read} may begin another band.
   */
  private static final ConcurrentLinkedQueue<Scratch> SPARE = new ConcurrentLinkedQueue<>();

  private static final class Scratch {
    private float[] values = {};
    private byte[] blocks = {};

    float[] values(int count) {
      values = values.length < count ? new float[count] : values;
      return values;
    }

    byte[] blocks(int count) {
      blocks = blocks.length < count ? new byte[count] : blocks;
      return blocks;
    }
  }

  /** Writes rows {@code from .. to-1} of the wanted matrix to the array's beginning. */
  public interface Rows {
    void read(int from, int to, float[] out);
  }

  /** Whether this base's scales are kept. */
  public boolean keepsScalesOf(PackedMatrix base) {
    return rounding.keepsScales() && format.holds(base);
  }

  /**
   * The whole matrix, rounded; bands of rows on the common pool.
   *
   * @param module distinguishes the thresholds of a model's modules
   * @param wanted called from several threads
   * @throws IllegalArgumentException if a value is not finite
   */
  public PackedMatrix round(PackedMatrix base, int module, Rows wanted) {
    boolean keep = keepsScalesOf(base);
    GridRounding grid = new GridRounding(rounding, module * 0x632be59bd9b4e019L);
    return format == FourBit.NF4
        ? nf4(base, keep ? grid : null, wanted)
        : ggml(base, keep ? grid : null, wanted);
  }

  private GgmlMatrix ggml(PackedMatrix base, GridRounding grid, Rows wanted) {
    TensorType type = TensorType.valueOf(format.name());
    int cols = base.cols();
    int rowBytes = (int) type.bytes(cols);
    byte[] all = new byte[Math.multiplyExact(base.rows(), rowBytes)];
    eachBand(
        base,
        wanted,
        (from, to, x, scratch) -> {
          int bytes = (to - from) * rowBytes;
          byte[] out = scratch.blocks(bytes);
          if (grid != null) {
            grid.affine((GgmlMatrix) base, from, to, x, out);
          } else {
            PackedMatrix floats = f32(to - from, cols, x);
            GgmlMatrix packed =
                format == FourBit.Q4_0 ? BlockQuantizer.q4x0(floats) : BlockQuantizer.q4x1(floats);
            packed.blocks().get(out, 0, bytes);
          }
          System.arraycopy(out, 0, all, from * rowBytes, bytes);
        });
    return new GgmlMatrix(
        type, base.rows(), cols, ByteBuffer.wrap(all).order(ByteOrder.LITTLE_ENDIAN));
  }

  private Nf4Matrix nf4(PackedMatrix base, GridRounding grid, Rows wanted) {
    int cols = base.cols();
    int rows = base.rows();
    boolean doubleQuant = base instanceof Nf4Matrix stored && stored.doubleQuant().isPresent();
    if (grid == null && doubleQuant) { // the scales' own scales want all of them at once
      float[] x = read(wanted, 0, rows, cols, new float[Math.multiplyExact(rows, cols)]);
      return Nf4Quantizer.quantize(f32(rows, cols, x), true);
    }
    long elements = (long) rows * cols;
    byte[] codes = new byte[Math.toIntExact((elements + 1) / 2)];
    float[] scales =
        grid == null
            ? new float[(int) ((elements + Nf4Matrix.BLOCK_SIZE - 1) / Nf4Matrix.BLOCK_SIZE)]
            : ((Nf4Matrix) base).absmax();
    eachBand(
        base,
        wanted,
        (from, to, x, scratch) -> {
          if (grid != null) {
            grid.nf4((Nf4Matrix) base, scales, from, to, x, codes);
            return;
          }
          Nf4Matrix packed = Nf4Quantizer.quantize(f32(to - from, cols, x), false);
          ByteBuffer bytes = packed.packed();
          bytes.get(codes, from * cols / 2, bytes.remaining());
          float[] absmax = packed.absmax();
          System.arraycopy(absmax, 0, scales, from * cols / Nf4Matrix.BLOCK_SIZE, absmax.length);
        });
    ByteBuffer packed = ByteBuffer.wrap(codes);
    return doubleQuant
        ? Nf4Matrix.of(rows, cols, packed, ((Nf4Matrix) base).doubleQuant().get())
        : Nf4Matrix.of(rows, cols, packed, scales);
  }

  private interface Band {
    /** Rounds rows {@code from .. to-1}, whose values x begins with. */
    void round(int from, int to, float[] x, Scratch scratch);
  }

  private static void eachBand(PackedMatrix base, Rows wanted, Band body) {
    IntStream.range(0, (base.rows() + BAND - 1) / BAND)
        .parallel()
        .forEach(
            band -> {
              int from = band * BAND;
              int to = Math.min(base.rows(), from + BAND);
              Scratch spare = SPARE.poll();
              Scratch scratch = spare == null ? new Scratch() : spare;
              float[] x = scratch.values(Math.multiplyExact(to - from, base.cols()));
              body.round(from, to, read(wanted, from, to, base.cols(), x), scratch);
              SPARE.add(scratch);
            });
  }

  private static float[] read(Rows wanted, int from, int to, int cols, float[] x) {
    int count = Math.multiplyExact(to - from, cols);
    wanted.read(from, to, x);
    for (int i = 0; i < count; i++) {
      if (!(Math.abs(x[i]) <= Float.MAX_VALUE)) {
        throw new IllegalArgumentException(
            "row %d column %d is %s, wanted finite weights"
                .formatted(from + i / cols, i % cols, x[i]));
      }
    }
    return x;
  }

  private static PackedMatrix f32(int rows, int cols, float[] x) {
    int count = rows * cols;
    ByteBuffer out = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    out.asFloatBuffer().put(x, 0, count);
    return new GgmlMatrix(TensorType.F32, rows, cols, out);
  }
}
