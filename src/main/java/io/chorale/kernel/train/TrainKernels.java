package io.chorale.kernel.train;

import io.chorale.kernel.NativeLibrary;
import io.chorale.kernel.NativeLibrary.InstructionSet;
import java.util.Optional;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Forward and backward of the decoder's parts on the CPU, each one pass over its matrices. They lie
 * in libtorch's tensors, contiguous, all of one element type, bfloat16 or float32, unless said
 * otherwise; sums are float32. A result depends on the instruction set only in its last bits, on
 * the number of threads not at all.
 *
 * <p>Each is a twin of the libtorch formulas in {@code train.model.math} and {@code
 * train.model.weight}, which compute elsewhere and where the library is absent.
 */
public final class TrainKernels {
  private static final Optional<TrainKernels> CHOSEN =
      NativeLibrary.failure().isPresent()
          ? Optional.empty()
          : Optional.of(new TrainKernels(NativeLibrary.chosen()));

  private final long table;

  /**
   * @throws IllegalArgumentException if this machine does not have the instructions
   */
  public TrainKernels(InstructionSet set) {
    this.table = NativeLibrary.supported().contains(set) ? TrainCalls.table(set.ordinal()) : 0;
    if (table == 0) {
      throw new IllegalArgumentException(
          "kernels for %s, this machine has %s".formatted(set.label(), NativeLibrary.supported()));
    }
  }

  /** Those of the machine's best or the chosen instruction set; empty without the library. */
  public static Optional<TrainKernels> chosen() {
    return CHOSEN;
  }

  /** Those that compute on a tensor; null if libtorch has to, as on another device. */
  public static TrainKernels on(Tensor tensor) {
    return CHOSEN.isPresent() && !tensor.is_cuda() && tensor.is_contiguous() ? CHOSEN.get() : null;
  }

  /**
   * Writes {@code q d + m}, or {@code (q - 8) d} without mins, two roundings and then one to the
   * element type.
   *
   * @param codes uint8 [rows, cols / 2], value i low, value {@code i + cols / 2} high; cols a
   *     multiple of 32
   * @param scales float16 [rows, cols / 32]
   * @param mins as scales, or null
   * @param out [rows, cols]
   */
  public void unpackQ4(Tensor codes, Tensor scales, Tensor mins, Tensor out) {
    long[] pointers = {at(codes), at(scales), mins == null ? 0 : at(mins), at(out)};
    TrainCalls.unpackQ4(table, pointers, rows(out), width(out), bf16(out));
  }

  /**
   * Writes {@code q d}.
   *
   * @param blocks GGUF's Q8_0, [rows, cols / 32] of 34 bytes
   * @param out [rows, cols]
   */
  public void unpackQ8(Pointer blocks, Tensor out) {
    long[] pointers = {blocks.address(), at(out)};
    TrainCalls.unpackQ8(table, pointers, rows(out), width(out), bf16(out));
  }

  /**
   * Writes blocks of 64 of NF4.
   *
   * @param codes uint8 [blocks * 32]
   * @param scales float32 [blocks]
   * @param out [blocks * 64] in any shape
   */
  public void unpackNf4(Tensor codes, Tensor scales, Tensor out) {
    long[] pointers = {at(codes), at(scales), 0, 0, 0, at(out)};
    TrainCalls.unpackNf4(table, pointers, (int) (out.numel() / 64), 0, bf16(out));
  }

  /**
   * The same, block b's scale being {@code table[scaleCodes[b]] * absmax[b / 256] + offset}.
   *
   * @param scaleCodes uint8 [blocks]; scaleTable float32 [256]
   */
  public void unpackNf4(
      Tensor codes, Tensor scaleCodes, Tensor scaleTable, Tensor absmax, float offset, Tensor out) {
    long[] pointers = {at(codes), 0, at(scaleCodes), at(scaleTable), at(absmax), at(out)};
    TrainCalls.unpackNf4(table, pointers, (int) (out.numel() / 64), offset, bf16(out));
  }

  /**
   * @param weight float32 [width]
   * @param y [rows, width], may be x
   */
  public void rmsNorm(Tensor x, Tensor weight, float eps, Tensor y) {
    TrainCalls.rmsNorm(
        table, new long[] {at(x), at(weight), at(y)}, rows(x), width(x), eps, bf16(x));
  }

  /** Adds the input's gradient to dx. */
  public void rmsNormBackward(Tensor dy, Tensor x, Tensor weight, float eps, Tensor dx) {
    long[] pointers = {at(dy), at(x), at(weight), at(dx)};
    TrainCalls.rmsNormBackward(table, pointers, rows(x), width(x), eps, bf16(x));
  }

  /**
   * Turns each head of each row in place.
   *
   * @param x [rows, heads * headDim]
   * @param cos as sin: [rows, headDim / 2] in any shape
   * @param direction 1, or -1 for the opposite
   */
  public void rotate(Tensor x, Tensor cos, Tensor sin, int direction) {
    int half = (int) (cos.numel() / x.size(0));
    long[] pointers = {at(x), at(cos), at(sin), direction};
    TrainCalls.rotate(table, pointers, rows(x), width(x), half, bf16(x));
  }

  /** {@code out = silu(gate) * up}. */
  public void silu(Tensor gate, Tensor up, Tensor out) {
    long[] pointers = {at(gate), at(up), at(out)};
    TrainCalls.silu(table, pointers, rows(gate), width(gate), bf16(gate));
  }

  /** Overwrites gate and up with their gradients. */
  public void siluBackward(Tensor dOut, Tensor gate, Tensor up) {
    long[] pointers = {at(dOut), at(gate), at(up)};
    TrainCalls.siluBackward(table, pointers, rows(gate), width(gate), bf16(gate));
  }

  /**
   * The sum of the rows' cross-entropies, nats; not a number if a logit is not finite.
   *
   * @param logits [rows, vocab], overwritten with gradScale times the gradient
   * @param targets int64 [rows], each 0..vocab-1
   */
  public double loss(Tensor logits, Tensor targets, double gradScale) {
    long[] pointers = {at(logits), at(targets)};
    return TrainCalls.loss(table, pointers, rows(logits), width(logits), gradScale, bf16(logits));
  }

  /**
   * Each column's {@code sum of x * y}, summed from the first row to the last.
   *
   * @param y as x: [rows, width]
   * @param out float32 [width]
   */
  public void columnDots(Tensor x, Tensor y, Tensor out) {
    TrainCalls.columnDots(table, new long[] {at(x), at(y), at(out)}, rows(x), width(x), bf16(x));
  }

  /**
   * {@code out = x * mask}; element i of the mask is 1 if 16 bits of SplitMix64's output {@code i /
   * 4} are below the threshold, else 0.
   *
   * @param out as x, may be x
   */
  public void dropout(Tensor x, long seed, int threshold, Tensor out) {
    long[] pointers = {at(x), at(out), seed};
    TrainCalls.dropout(table, pointers, x.numel(), threshold, false, bf16(x));
  }

  /** {@code dx += d * mask}. */
  public void dropoutAdd(Tensor d, long seed, int threshold, Tensor dx) {
    long[] pointers = {at(d), at(dx), seed};
    TrainCalls.dropout(table, pointers, d.numel(), threshold, true, bf16(d));
  }

  /**
   * Matrices of attention's forward.
   *
   * @param q [rows, heads * headDim]
   * @param k as v: [rows, kvHeads * headDim]
   * @param out as q
   * @param logSums memory of rows * heads float32, kept for backward
   */
  public record Attention(Tensor q, Tensor k, Tensor v, Tensor out, Tensor logSums) {}

  /**
   * Causal attention of whole sequences.
   *
   * @param shape heads, kvHeads, headDim, window (0 is all), then the sequences' starts and their
   *     end; rows of no sequence are left as they are
   */
  public void attend(Attention a, int[] shape) {
    long[] pointers = {at(a.q), at(a.k), at(a.v), at(a.out), at(a.logSums)};
    TrainCalls.attend(table, pointers, shape, false, bf16(a.q));
  }

  /**
   * Its gradients.
   *
   * @param into dq, dk, dv, overwritten
   */
  public void attendBackward(Attention a, Tensor dOut, Tensor[] into, int[] shape) {
    long[] pointers = {
      at(a.q),
      at(a.k),
      at(a.v),
      at(a.out),
      at(a.logSums),
      at(dOut),
      at(into[0]),
      at(into[1]),
      at(into[2])
    };
    TrainCalls.attend(table, pointers, shape, true, bf16(a.q));
  }

  private static long at(Tensor tensor) {
    return tensor.data_ptr().address();
  }

  private static boolean bf16(Tensor tensor) {
    return tensor.scalar_type().intern() == ScalarType.BFloat16;
  }

  private static int rows(Tensor tensor) {
    return Math.toIntExact(tensor.size(0));
  }

  private static int width(Tensor tensor) {
    return Math.toIntExact(tensor.numel() / Math.max(1, tensor.size(0)));
  }
}
