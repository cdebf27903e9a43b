package io.chorale.kernel;

/**
 * Paged keys and values of all layers, {@link Ops#kvPositionBytes} bytes a position and layer,
 * {@code kvSlot = block * blockTokens + offset}.
 */
public interface KvPages extends AutoCloseable {
  long bytes();

  @Override
  void close();
}
