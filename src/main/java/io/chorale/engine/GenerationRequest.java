package io.chorale.engine;

import io.chorale.sched.SamplingParams;
import io.chorale.sched.draft.Drafting;

/**
 * One sequence to generate. The caller holds the adapter's lease until {@link TokenSink#finished}.
 *
 * @param promptIds at least one token id of the base model's vocabulary; not changed by anyone
 * @param adapterKey a registered version's key, or {@link #BASE}
 */
public record GenerationRequest(
    int[] promptIds, int adapterKey, SamplingParams params, Drafting drafting, TokenSink sink) {
  /** The base model without any adapter. */
  public static final int BASE = -1;

  /** Whose next tokens may be guessed where that pays. */
  public GenerationRequest(int[] promptIds, int adapterKey, SamplingParams params, TokenSink sink) {
    this(promptIds, adapterKey, params, Drafting.AUTO, sink);
  }
}
