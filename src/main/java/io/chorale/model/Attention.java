package io.chorale.model;

import io.chorale.kernel.Linear;
import io.chorale.kernel.Matrix;

/**
 * Self-attention's weights in one layer.
 *
 * @param qNorm RMSNorm over each head of q [1, headDim]; null without (all but Qwen3)
 * @param kNorm the same for k
 */
record Attention(Linear q, Linear k, Linear v, Linear o, Matrix qNorm, Matrix kNorm) {}
