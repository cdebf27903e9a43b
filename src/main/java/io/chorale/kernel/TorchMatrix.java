package io.chorale.kernel;

import org.bytedeco.pytorch.Tensor;

/** {@link Matrix} in a libtorch tensor on the device. */
final class TorchMatrix extends Matrix {
  private final Tensor tensor;

  TorchMatrix(Tensor tensor, int rows, int cols) {
    super(rows, cols);
    this.tensor = tensor;
  }

  static Tensor of(Matrix matrix) {
    return ((TorchMatrix) matrix).tensor;
  }

  @Override
  Matrix view(long firstElement, int viewRows, int viewCols) {
    long[] size = {viewRows, viewCols};
    long[] stride = {viewCols, 1};
    long offset = tensor.storage_offset() + firstElement;
    return new TorchMatrix(
        tensor.as_strided(size, stride, new org.bytedeco.pytorch.LongOptional(offset)),
        viewRows,
        viewCols);
  }
}
