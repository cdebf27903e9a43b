package io.chorale.kernel;

/** A weight matrix {@code [rows, cols]} resident in the layout its {@link Ops} wants; read-only. */
public interface Weight {
  /** Outputs. */
  int rows();

  /** Inputs. */
  int cols();

  /** Resident bytes. */
  long bytes();

  /** How it is kept, such as {@code F32}, {@code Q4}, {@code NF4}. */
  String layout();
}
