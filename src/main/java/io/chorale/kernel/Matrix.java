package io.chorale.kernel;

/**
 * A float32 workspace matrix {@code [rows, cols]}, row-major and contiguous, in the memory of the
 * {@link Ops} that made it. Allocated once and reused by every step. Views share memory; those made
 * after {@link Ops#begin} last until its {@link StepRows} is closed. Engine thread.
 */
public abstract class Matrix {
  private final int rows;
  private final int cols;

  Matrix(int rows, int cols) {
    this.rows = rows;
    this.cols = cols;
  }

  public final int rows() {
    return rows;
  }

  public final int cols() {
    return cols;
  }

  /** A view of the first {@code count} rows. */
  public final Matrix top(int count) {
    return count == rows ? this : slice(0, count);
  }

  /** A view of rows {@code from .. from+count-1}. */
  public final Matrix slice(int from, int count) {
    if (from < 0 || count < 0 || from + count > rows) {
      throw new IllegalArgumentException(
          "asked rows %d to %d of a %s".formatted(from, from + count - 1, this));
    }
    return view(from * (long) cols, count, cols);
  }

  /** The same memory with {@code cols / width} times as many rows of {@code width}. */
  public final Matrix split(int width) {
    if (cols % width != 0) {
      throw new IllegalArgumentException("%s does not split by %d".formatted(this, width));
    }
    return view(0, rows * (cols / width), width);
  }

  /** A contiguous view that starts at a flat element. */
  abstract Matrix view(long firstElement, int viewRows, int viewCols);

  @Override
  public final String toString() {
    return "matrix [%d, %d]".formatted(rows, cols);
  }
}
