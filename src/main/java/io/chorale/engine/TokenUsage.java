package io.chorale.engine;

/**
 * Tokens of one sequence.
 *
 * @param promptTokens length of the prompt
 * @param cachedTokens how many of those came from the prefix cache
 * @param completionTokens generated, the stopping token included
 */
public record TokenUsage(int promptTokens, int cachedTokens, int completionTokens) {}
