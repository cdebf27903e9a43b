package io.chorale.kernel;

import io.chorale.quant.PackedMatrix;

/**
 * The operations a decoder is made of, on preallocated {@link Matrix} workspaces. All matrices are
 * float32 and row-major; {@code out} is written and must not overlap an input unless said. One
 * thread at a time (the engine's). libtorch's errors arrive as RuntimeException.
 *
 * <p>Each implementation passes {@code OpsContract} against float64 arithmetic.
 */
public sealed interface Ops permits TorchOps, NativeOps {

  /** Shown in logs, health and metrics, such as {@code torch-cpu}. */
  String name();

  /** Undoes what {@link #bindThread} set. */
  @FunctionalInterface
  interface ThreadBinding extends AutoCloseable {
    @Override
    void close();
  }

  /** Prepares the calling thread to run operations; closed on the same thread. */
  ThreadBinding bindThread();

  /** A zeroed workspace. */
  Matrix matrix(int rows, int cols);

  /** A matrix of these values, row-major. */
  Matrix matrix(int rows, int cols, float[] values);

  /** A constant vector as a matrix of one row. */
  default Matrix vector(float[] values) {
    return matrix(1, values.length, values);
  }

  /** Brings a weight into this implementation's layout. */
  Weight weight(PackedMatrix packed);

  /** Bytes that one position's keys and values of one layer take in {@link #kvPages}. */
  int kvPositionBytes(int kvHeads, int headDim);

  /** Keys and values for {@code kvSlots} positions in each layer. */
  KvPages kvPages(int layers, int kvSlots, AttentionShape shape);

  /**
   * An empty table.
   *
   * @param base the base's weight of each module, for shapes and DoRA's norm
   * @param embeddingModule which of them is the embedding (a [rank, vocab], b [hidden, rank])
   */
  LoraTable loraTable(int slots, Weight[] base, int embeddingModule);

  /**
   * Prepares one step's indices.
   *
   * @param inverseFrequencies [headDim / 2], radians per position, of rotary embedding
   * @param lora the table that the rows' loraSlots point into
   */
  StepRows begin(ForwardInputs inputs, float[] inverseFrequencies, LoraTable lora);

  /** {@code out[i] = table[tokenIds[i]]}, with the row's own embedding LoRA (or DoRA). */
  void embed(Linear table, StepRows rows, Matrix out);

  /**
   * {@code out = x / sqrt(mean(x^2) + eps) * weight} per row (Zhang and Sennrich 2019,
   * arXiv:1910.07467). {@code out} may be {@code x}.
   */
  void rmsNorm(Matrix x, Matrix weight, float eps, Matrix out);

  /**
   * {@code out[i] (+)= m_s * (W x[i] + scaling_s B_s (A_s x[i])) + bias} with {@code s} the row's
   * loraSlot; rows without one get {@code W x[i] + bias}. Hu et al. 2021, arXiv:2106.09685; rows
   * batched as in Punica, arXiv:2310.18547; m_s is DoRA's, arXiv:2402.09353.
   *
   * @param x [n, in]
   * @param accumulate add to {@code out} instead of overwriting it
   * @param out [n, out]
   */
  void linear(Matrix x, Linear linear, RowSlots slots, boolean accumulate, Matrix out);

  /**
   * Rotates q and k in place by their rows' positions (half-split pairs, as transformers) and
   * stores k and v in the layer's pages.
   *
   * @param q [rows, heads * headDim]
   * @param k [rows, kvHeads * headDim]
   * @param v [rows, kvHeads * headDim]
   */
  void ropeAndStoreKv(Matrix q, Matrix k, Matrix v, StepRows rows, KvPages pages, int layer);

  /**
   * Causal attention of each row over its own sequence's pages: {@code out = softmax(q k^T /
   * sqrt(headDim)) v}. q and out [rows, heads * headDim].
   */
  void pagedAttention(
      Matrix q, StepRows rows, KvPages pages, int layer, AttentionShape shape, Matrix out);

  /** {@code gate = silu(gate) * up}, in place. */
  void siluMul(Matrix gate, Matrix up);

  /** Copies the step's logit rows: {@code out[i] = x[logitRows[i]]}. */
  void gatherLogitRows(Matrix x, StepRows rows, Matrix out);

  /** Copies a matrix to the host, row-major, filling {@code out} from 0. */
  void read(Matrix matrix, float[] out);
}
