package io.chorale.engine;

/**
 * Natural-log probabilities at one position, before temperature and filters (as OpenAI and vLLM
 * report them).
 *
 * @param tokenId the token that stands there
 * @param logprob its log-probability
 * @param topIds the likeliest tokens, best first; may be empty
 * @param topLogprobs their log-probabilities
 */
public record TokenLogprobs(int tokenId, float logprob, int[] topIds, float[] topLogprobs) {}
