package io.chorale.kernel;

import org.bytedeco.pytorch.Tensor;

/**
 * A float32 workspace matrix {@code [rows, cols]}, row-major and contiguous, owned by a libtorch
 * tensor on the {@link Ops}' device. Allocated once and reused by every step; {@link #top} is a
 * view of its first rows. Engine thread.
 */
public final class Matrix {
  private final Tensor tensor;
  private final int rows;
  private final int cols;

  Matrix(Tensor tensor, int rows, int cols) {
    this.tensor = tensor;
    this.rows = rows;
    this.cols = cols;
  }

  public int rows() {
    return rows;
  }

  public int cols() {
    return cols;
  }

  /** The first {@code count} rows; shares memory, belongs to the open scope. */
  public Matrix top(int count) {
    if (count > rows) {
      throw new IllegalArgumentException("asked %d rows of a %s".formatted(count, this));
    }
    return count == rows ? this : new Matrix(tensor.narrow(0, 0, count), count, cols);
  }

  /** Rows {@code from .. from+count-1}; shares memory, belongs to the open scope. */
  public Matrix slice(int from, int count) {
    return new Matrix(tensor.narrow(0, from, count), count, cols);
  }

  /** The same memory with {@code cols / width} times as many rows of {@code width}. */
  public Matrix split(int width) {
    int parts = cols / width;
    return new Matrix(tensor.view((long) rows * parts, width), rows * parts, width);
  }

  Tensor tensor() {
    return tensor;
  }

  @Override
  public String toString() {
    return "matrix [%d, %d]".formatted(rows, cols);
  }
}
