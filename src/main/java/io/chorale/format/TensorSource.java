package io.chorale.format;

import java.util.Set;

/** Named tensors of a file, or of several files that belong together. */
public interface TensorSource extends AutoCloseable {
  Set<String> names();

  /**
   * The tensor as stored; a view of the mapped file, valid until {@link #close}.
   *
   * @throws IllegalArgumentException naming the tensor and the file if it is not there
   */
  TensorData tensor(String name);

  @Override
  void close();
}
