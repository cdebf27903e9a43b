package io.chorale.train.model.weight;

import io.chorale.kernel.train.TrainKernels;
import io.chorale.quant.Nf4Matrix;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.math.Buffers;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * bitsandbytes' NF4, blocks of 64 over the flat matrix (Dettmers et al. 2023, arXiv:2305.14314). A
 * byte's two values are looked up at once, as eight bytes, in a table of 256 pairs.
 * Double-quantized scales stay 8-bit.
 */
final class Nf4Weight extends FrozenWeight {
  private static final int BLOCK = Nf4Matrix.BLOCK_SIZE;
  private static final int CHUNK_BLOCKS = 1 << 11;

  private final Tensor codes;
  private final Tensor pairs;
  private final Scales scales;

  /**
   * Scales of the blocks.
   *
   * @param plain float32 [blocks]; null if double-quantized
   * @param codes uint8 [blocks]; table float32 [256]; absmax float32 [groups]
   */
  private record Scales(Tensor plain, Tensor codes, Tensor table, Tensor absmax, float offset) {
    /** float32 [count, 1]; from is a multiple of the group. */
    Tensor of(long from, long count) {
      if (plain != null) {
        return plain.narrow(0, from, count).view(-1, 1);
      }
      long group = Nf4Matrix.DoubleQuant.BLOCK_SIZE;
      Tensor index = codes.narrow(0, from, count).to(ScalarType.Int);
      Tensor values = table.index_select(0, index);
      long whole = count / group * group;
      if (whole > 0) {
        values
            .narrow(0, 0, whole)
            .view(-1, group)
            .mul_(absmax.narrow(0, from / group, whole / group).view(-1, 1));
      }
      if (whole < count) {
        values.narrow(0, whole, count - whole).mul_(absmax.select(0, (from + whole) / group));
      }
      return values.add_(new org.bytedeco.pytorch.Scalar(offset)).view(-1, 1);
    }

    void unpack(TrainKernels kernels, Tensor blocks, Tensor out) {
      if (plain != null) {
        kernels.unpackNf4(blocks, plain, out);
      } else {
        kernels.unpackNf4(blocks, codes, table, absmax, offset, out);
      }
    }

    long bytes() {
      return plain != null ? 4 * plain.numel() : codes.numel() + 4 * (absmax.numel() + 256);
    }

    void close() {
      for (Tensor tensor : new Tensor[] {plain, codes, table, absmax}) {
        if (tensor != null) {
          tensor.close();
        }
      }
    }
  }

  private Nf4Weight(int rows, int cols, Tensor codes, Tensor pairs, Scales scales) {
    super(rows, cols);
    this.codes = codes;
    this.pairs = pairs;
    this.scales = scales;
  }

  /** Whether the matrix is whole blocks. */
  static boolean fits(Nf4Matrix matrix) {
    return (long) matrix.rows() * matrix.cols() % BLOCK == 0;
  }

  static Nf4Weight of(Nf4Matrix matrix, TorchDevice device) {
    byte[] bytes = new byte[matrix.packed().remaining()];
    matrix.packed().get(bytes);
    ByteBuffer table = ByteBuffer.allocate(256 * 8).order(ByteOrder.nativeOrder());
    float[] code = Nf4Matrix.code();
    for (int b = 0; b < 256; b++) {
      table.putFloat(code[b >> 4]).putFloat(code[b & 15]);
    }
    try (Scope scope = Scope.open()) {
      Tensor pairs = device.bytes(table.array(), 256 * 8).view(ScalarType.Double);
      return new Nf4Weight(
          matrix.rows(),
          matrix.cols(),
          scope.escape(device.bytes(bytes, bytes.length)),
          scope.escape(pairs),
          scales(matrix, device, scope));
    }
  }

  private static Scales scales(Nf4Matrix matrix, TorchDevice device, Scope scope) {
    return matrix
        .doubleQuant()
        .map(
            dq ->
                new Scales(
                    null,
                    scope.escape(device.bytes(dq.codes(), dq.codes().length)),
                    scope.escape(device.floats(dq.code(), 256)),
                    scope.escape(device.floats(dq.absmax(), dq.absmax().length)),
                    dq.offset()))
        .orElseGet(
            () -> {
              float[] absmax = matrix.absmax();
              return new Scales(
                  scope.escape(device.floats(absmax, absmax.length)), null, null, null, 0);
            });
  }

  @Override
  public boolean quantized() {
    return true;
  }

  @Override
  public long heldBytes() {
    return codes.numel() + 8 * pairs.numel() + scales.bytes();
  }

  @Override
  public Tensor dense(Buffers buffers, String name) {
    Tensor out = buffers.take(name, rows(), cols());
    TrainKernels kernels = TrainKernels.on(out);
    if (kernels != null) {
      scales.unpack(kernels, codes, out);
      return out;
    }
    Tensor flat = out.view(-1, BLOCK);
    long blocks = flat.size(0);
    for (long from = 0; from < blocks; from += CHUNK_BLOCKS) {
      try (Scope scope = Scope.open()) {
        long count = Math.min(CHUNK_BLOCKS, blocks - from);
        unpack(from, count, flat.narrow(0, from, count));
      }
    }
    return out;
  }

  private void unpack(long from, long count, Tensor out) {
    Tensor index = codes.narrow(0, from * BLOCK / 2, count * BLOCK / 2).to(ScalarType.Int);
    if (out.scalar_type().intern() == ScalarType.Float) {
      Tensor target = out.view(-1).view(ScalarType.Double);
      torch.index_select_out(target, pairs, 0, index);
      out.mul_(scales.of(from, count));
    } else {
      Tensor values = pairs.index_select(0, index).view(ScalarType.Float).view(-1, BLOCK);
      out.copy_(values.mul_(scales.of(from, count)));
    }
  }

  @Override
  public Tensor rows(int[] ids, Buffers buffers) {
    Tensor index = buffers.device().longs(Arrays.stream(ids).asLongStream().toArray());
    return dense(buffers, "nf4.rows").index_select(0, index);
  }

  @Override
  public void close() {
    codes.close();
    pairs.close();
    scales.close();
  }
}
