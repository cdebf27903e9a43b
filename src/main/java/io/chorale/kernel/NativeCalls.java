package io.chorale.kernel;

/**
 * The entry points of {@code libchorale.so} ({@code src/main/cpp/jni.cpp}). Handles are addresses
 * and nothing is checked here: callers pass live handles and arrays of the right length. {@link
 * NativeLibrary} loads the library first. Threads: as {@link Ops}, one at a time for one context.
 */
final class NativeCalls {
  private NativeCalls() {}

  /** Ordinal of the best {@link NativeLibrary.InstructionSet} of this machine. */
  static native int bestPath();

  /** Kernels, thread pool and scratch; 0 if this machine cannot run the path. */
  static native long open(int path, int threads);

  static native void close(long context);

  /** Zeroed memory. */
  static native long allocate(long bytes);

  static native void free(long memory);

  static native void write(long memory, float[] values, int count);

  static native void read(long memory, float[] out, int count);

  /** A zero weight, to be packed a band of rows at a time. */
  static native long weight(int kind, int rows, int cols);

  static native void weightFree(long weight);

  static native long weightBytes(long weight);

  /** GGUF's bytes of whole rows; the type is ggml's number: 2 Q4_0, 3 Q4_1, 8 Q8_0. */
  static native void packGgml(long weight, int type, int from, int count, byte[] bytes);

  static native void packNf4(long weight, int from, int count, byte[] codes, float[] absmax);

  static native void packFloats(long weight, int from, int count, float[] values);

  static native long loraTable(int slots, int modules);

  static native void loraFree(long table);

  /** An adapter without any module yet. */
  static native long loraSet(int modules);

  /** {@code factors} are a, b, biasB and magnitude, the last two may be null. */
  static native void loraAdd(
      long set,
      int module,
      long base,
      boolean embedding,
      int rank,
      float scaling,
      float[][] factors);

  /** The set owns the weight. */
  static native void loraReplace(long set, int module, long weight);

  /** Brings all factors to one place, once, after the last module; the adapter's bytes. */
  static native long loraPack(long set);

  static native void loraSetFree(long set);

  /** Puts a set, which must outlive its seat, in a slot; 0 empties it. */
  static native void loraSeat(long table, int slot, long set);

  static native long kvPages(
      int layers, int kvSlots, int heads, int kvHeads, int headDim, int window, boolean q8);

  static native long kvBytes(long pages);

  static native void kvFree(long pages);

  /** {@code words} as {@link NativeStepRows} lays them out. */
  static native long begin(long context, long table, int[] words, float[] inverseFrequencies);

  static native void end(long step);

  static native long allRows(long step);

  static native long logitRows(long step, int from, int count);

  static native void embed(long step, long weight, int module, long out);

  static native void rmsNorm(
      long context, long x, int rows, int cols, long weight, float eps, long out);

  static native void linear(
      long rows, long x, long weight, long bias, int module, boolean accumulate, long out);

  static native void ropeAndStoreKv(long step, long q, long k, long v, long pages, int layer);

  static native void pagedAttention(long step, long q, long pages, int layer, long out);

  static native void siluMul(long context, long gate, long up, long count);

  static native void gatherLogitRows(long step, long x, int cols, long out);
}
