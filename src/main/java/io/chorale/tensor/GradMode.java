package io.chorale.tensor;

import org.bytedeco.pytorch.NoGradGuard;

/**
 * Switches autograd off on this thread until closed. Kept in a field of our own on purpose: a
 * NoGradGuard that is merely dropped is destroyed later by another thread and leaves this one
 * without gradients for ever.
 */
public final class GradMode implements AutoCloseable {
  private final NoGradGuard guard = new NoGradGuard();

  private GradMode() {}

  public static GradMode off() {
    return new GradMode();
  }

  @Override
  public void close() {
    guard.close();
  }
}
