package io.chorale.tensor;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;

/**
 * Frees every native object made on this thread while it is open; the garbage collector cannot see
 * tensors, so each piece of native work runs in a scope (try-with-resources). Scopes nest. Opened
 * and closed on one thread.
 */
public final class Scope implements AutoCloseable {
  private final PointerScope pointers = new PointerScope();

  private Scope() {}

  public static Scope open() {
    return new Scope();
  }

  /**
   * Lets an object outlive the scope. Its new owner must {@code close()} it.
   *
   * @return the same object
   */
  public <T extends Pointer> T escape(T object) {
    // retainReference first: detach alone frees the object on the spot.
    object.retainReference();
    pointers.detach(object);
    return object;
  }

  @Override
  public void close() {
    pointers.close();
  }
}
