package io.chorale.engine;

/**
 * What one step sampled.
 *
 * @param tokens one per row entry that samples, in row order
 * @param logprobs beside it; null entries where not asked for
 */
record StepResult(int[] tokens, TokenLogprobs[] logprobs) {}
