package io.chorale.engine;

import io.chorale.sched.SamplingParams;

/**
 * One sequence to generate. The caller holds the adapter's lease until {@link TokenSink#finished}.
 *
 * @param promptIds at least one token id of the base model's vocabulary; not changed by anyone
 * @param adapterKey a registered version's key, or {@link #BASE}
 */
public record GenerationRequest(
    int[] promptIds, int adapterKey, SamplingParams params, TokenSink sink) {
  /** The base model without any adapter. */
  public static final int BASE = -1;
}
