package io.chorale.adapter;

/**
 * One immutable version of a name: the same ref always stands for the same bytes, over restarts
 * too.
 */
public record AdapterRef(String name, int version) {
  @Override
  public String toString() {
    return name + "@" + version;
  }
}
