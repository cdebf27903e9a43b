package io.chorale.kernel;

/**
 * {@link Matrix} in native memory; views share it and keep its owner reachable. The last view is
 * given again if the same one is wanted, so that steps of one shape make none.
 */
final class NativeMatrix extends Matrix {
  private final long address;
  private final Object owner;
  private NativeMatrix lastView;

  private NativeMatrix(long address, Object owner, int rows, int cols) {
    super(rows, cols);
    this.address = address;
    this.owner = owner;
  }

  /** Zeroed; freed once neither it nor a view is reachable. */
  static NativeMatrix allocate(int rows, int cols) {
    NativeHandle memory =
        NativeHandle.of(NativeCalls.allocate((long) rows * cols * Float.BYTES), NativeCalls::free);
    return new NativeMatrix(memory.address(), memory, rows, cols);
  }

  /** 0 for null. */
  static long address(Matrix matrix) {
    return matrix == null ? 0 : ((NativeMatrix) matrix).address;
  }

  @Override
  Matrix view(long firstElement, int viewRows, int viewCols) {
    long at = address + firstElement * Float.BYTES;
    NativeMatrix last = lastView;
    if (last == null || last.address != at || last.rows() != viewRows || last.cols() != viewCols) {
      last = new NativeMatrix(at, owner, viewRows, viewCols);
      lastView = last;
    }
    return last;
  }
}
