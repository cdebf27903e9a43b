package io.chorale.kernel;

/** Paged keys and values of all layers, float32, {@code kvSlot = block * blockTokens + offset}. */
public interface KvPages extends AutoCloseable {
  long bytes();

  @Override
  void close();
}
