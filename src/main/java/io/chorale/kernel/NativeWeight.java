package io.chorale.kernel;

import io.chorale.kernel.Precision.Nf4;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * A weight in tiles of 16 outputs ({@code src/main/cpp/chorale.h} has the layouts). Q4_0, Q4_1,
 * Q8_0, F16, BF16 and F32 keep their exact values, as does NF4 whose blocks do not straddle rows
 * (then float32); the K formats become F16, within 5e-4 of each value. Read-only; any thread.
 */
final class NativeWeight implements Weight {
  /** How it is kept; ordinals are the library's numbers. */
  enum Kind {
    Q4,
    Q8,
    NF4,
    F32,
    F16,
    BF16,
    NF4_I8
  }

  private static final int BAND_ELEMENTS = 1 << 18;

  private final NativeHandle handle;
  private final Kind kind;
  private final int rows;
  private final int cols;

  private NativeWeight(Kind kind, int rows, int cols) {
    this.kind = kind;
    this.rows = rows;
    this.cols = cols;
    this.handle =
        NativeHandle.of(NativeCalls.weight(kind.ordinal(), rows, cols), NativeCalls::weightFree);
  }

  static NativeWeight of(PackedMatrix packed, Nf4 nf4) {
    Kind kind = kind(packed);
    kind = kind == Kind.NF4 && nf4 == Nf4.FAST ? Kind.NF4_I8 : kind;
    NativeWeight weight = new NativeWeight(kind, packed.rows(), packed.cols());
    weight.pack(packed, weight.handle.address());
    return weight;
  }

  /** A copy that stands in for the base's weight; the adapter that gets it frees it. */
  static long replacement(PackedMatrix packed) {
    long address = NativeCalls.weight(kind(packed).ordinal(), packed.rows(), packed.cols());
    pack(kind(packed), packed, address);
    return address;
  }

  static long address(Weight weight) {
    return ((NativeWeight) weight).handle.address();
  }

  private static Kind kind(PackedMatrix packed) {
    if (packed instanceof Nf4Matrix) {
      return packed.cols() % Nf4Matrix.BLOCK_SIZE == 0 ? Kind.NF4 : Kind.F32;
    }
    return switch (((GgmlMatrix) packed).type()) {
      case Q4_0, Q4_1 -> Kind.Q4;
      case Q8_0 -> Kind.Q8;
      case F32 -> Kind.F32;
      case BF16 -> Kind.BF16;
      case F16, Q4_K, Q5_K, Q6_K -> Kind.F16;
      case U8, I8, I16, I32, I64, BOOL -> throw new IllegalArgumentException(packed.formatName());
    };
  }

  private void pack(PackedMatrix packed, long address) {
    pack(kind, packed, address);
  }

  /** Copies a band of rows at a time, so that the host never holds a second whole matrix. */
  private static void pack(Kind kind, PackedMatrix packed, long address) {
    int band = Math.max(1, BAND_ELEMENTS / packed.cols());
    for (int from = 0; from < packed.rows(); from += band) {
      int count = Math.min(band, packed.rows() - from);
      switch (kind) {
        case Q4, Q8 -> packBlocks((GgmlMatrix) packed, address, from, count);
        case NF4, NF4_I8 -> packNf4((Nf4Matrix) packed, address, from, count);
        case F32, F16, BF16 -> {
          float[] values = new float[count * packed.cols()];
          packed.dequantizeRows(from, from + count, values);
          NativeCalls.packFloats(address, from, count, values);
        }
      }
    }
  }

  private static void packBlocks(GgmlMatrix matrix, long address, int from, int count) {
    byte[] bytes = new byte[count * matrix.rowBytes()];
    matrix.blocks().get(from * matrix.rowBytes(), bytes);
    int type = matrix.type() == TensorType.Q4_0 ? 2 : matrix.type() == TensorType.Q4_1 ? 3 : 8;
    NativeCalls.packGgml(address, type, from, count, bytes);
  }

  private static void packNf4(Nf4Matrix matrix, long address, int from, int count) {
    int start = from * (matrix.cols() / 2);
    byte[] codes = new byte[count * (matrix.cols() / 2)];
    ByteBuffer packed = matrix.packed();
    packed.get(start, codes);
    int blocks = matrix.cols() / Nf4Matrix.BLOCK_SIZE;
    float[] absmax = Arrays.copyOfRange(matrix.absmax(), from * blocks, (from + count) * blocks);
    NativeCalls.packNf4(address, from, count, codes, absmax);
  }

  @Override
  public int rows() {
    return rows;
  }

  @Override
  public int cols() {
    return cols;
  }

  @Override
  public long bytes() {
    return NativeCalls.weightBytes(handle.address());
  }

  @Override
  public String layout() {
    return kind.name();
  }
}
