package io.chorale.kernel;

/**
 * Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245).
 *
 * @param window attend to at most this many last positions, the own one included; 0 is all
 */
public record AttentionShape(int heads, int kvHeads, int headDim, int window) {
  public AttentionShape {
    if (heads % kvHeads != 0) {
      throw new IllegalArgumentException(
          "%d attention heads do not divide by %d key/value heads".formatted(heads, kvHeads));
    }
  }
}
