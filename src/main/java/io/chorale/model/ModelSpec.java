package io.chorale.model;

import java.util.Set;

/**
 * Shapes and options of one base model, read from its own files (config.json or GGUF metadata).
 *
 * @param name shown in errors and logs
 * @param hidden width of the residual stream
 * @param intermediate width of the gated MLP
 * @param headDim width of one attention head; heads * headDim need not be hidden
 * @param qkvBias q, k and v projections have a bias (Qwen2)
 * @param oBias o_proj has a bias too
 * @param mlpBias the MLP's projections have a bias
 * @param qkNorm RMSNorm over each head of q and k before RoPE (Qwen3)
 * @param slidingWindow attend to this many last positions; 0 is all
 * @param tiedHead lm_head shares the embedding's weights
 * @param endTokenIds any of these ends a generation
 */
public record ModelSpec(
    String name,
    Family family,
    int layers,
    int hidden,
    int intermediate,
    int heads,
    int kvHeads,
    int headDim,
    int vocab,
    int maxPositions,
    float rmsEps,
    RopeSpec rope,
    boolean qkvBias,
    boolean oBias,
    boolean mlpBias,
    boolean qkNorm,
    int slidingWindow,
    boolean tiedHead,
    Set<Integer> endTokenIds) {

  public int qWidth() {
    return heads * headDim;
  }

  public int kvWidth() {
    return kvHeads * headDim;
  }
}
