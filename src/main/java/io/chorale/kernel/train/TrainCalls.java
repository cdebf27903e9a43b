package io.chorale.kernel.train;

/**
 * The trainer's entry points of {@code libchorale.so} ({@code src/main/cpp/jni_train.cpp}).
 * Pointers are addresses of contiguous matrices of bfloat16 or float32 in the order that each
 * method names; nothing is checked here.
 */
final class TrainCalls {
  private TrainCalls() {}

  /** The kernels of an instruction set; 0 if this machine cannot run it. */
  static native long table(int path);

  /** codes, scales, mins or 0, out. */
  static native void unpackQ4(long table, long[] pointers, int rows, int cols, boolean bf16);

  /** blocks, out. */
  static native void unpackQ8(long table, long[] pointers, int rows, int cols, boolean bf16);

  /** codes, scales; or 0 and their codes, table and absmax; out. */
  static native void unpackNf4(long table, long[] pointers, int blocks, float offset, boolean bf16);

  /** x, weight, y. */
  static native void rmsNorm(
      long table, long[] pointers, int rows, int width, float eps, boolean bf16);

  /** dy, x, weight, dx. */
  static native void rmsNormBackward(
      long table, long[] pointers, int rows, int width, float eps, boolean bf16);

  /** x, cos, sin, and not an address: 1 or -1. */
  static native void rotate(
      long table, long[] pointers, int rows, int width, int half, boolean bf16);

  /** gate, up, out. */
  static native void silu(long table, long[] pointers, int rows, int width, boolean bf16);

  /** dOut, gate, up. */
  static native void siluBackward(long table, long[] pointers, int rows, int width, boolean bf16);

  /** logits, targets. */
  static native double loss(
      long table, long[] pointers, int rows, int vocab, double gradScale, boolean bf16);

  /** x, y, and float32: out. */
  static native void columnDots(long table, long[] pointers, int rows, int width, boolean bf16);

  /** x, out, and not an address: the seed. */
  static native void dropout(
      long table, long[] pointers, long count, int threshold, boolean add, boolean bf16);

  /**
   * q, k, v, out, logSums, dOut, dq, dk, dv.
   *
   * @param shape heads, kvHeads, headDim, window, then the sequences' starts
   */
  static native void attend(
      long table, long[] pointers, int[] shape, boolean backward, boolean bf16);
}
