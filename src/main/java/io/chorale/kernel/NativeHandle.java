package io.chorale.kernel;

import java.lang.ref.Cleaner;
import java.util.function.LongConsumer;

/** Native memory that is freed once: by {@link #close}, or when this object is unreachable. */
final class NativeHandle implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();

  private final long address;
  private final Cleaner.Cleanable cleanable;

  private NativeHandle(long address, LongConsumer free) {
    this.address = address;
    this.cleanable = CLEANER.register(this, () -> free.accept(address));
  }

  static NativeHandle of(long address, LongConsumer free) {
    return new NativeHandle(address, free);
  }

  long address() {
    return address;
  }

  @Override
  public void close() {
    cleanable.clean();
  }
}
