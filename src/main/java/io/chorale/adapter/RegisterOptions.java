package io.chorale.adapter;

import java.util.OptionalInt;

/**
 * How to register.
 *
 * @param replace publish a new version if the name is there already; otherwise that is
 *     ALREADY_LOADED
 * @param expectedVersion compare-and-swap: the version that must be current now; 0 means that the
 *     name must not be registered. Anything else is VERSION_MISMATCH
 */
public record RegisterOptions(boolean replace, OptionalInt expectedVersion) {
  public static final RegisterOptions CREATE = new RegisterOptions(false, OptionalInt.empty());
  public static final RegisterOptions REPLACE = new RegisterOptions(true, OptionalInt.empty());
}
