package io.chorale.sched;

import java.util.Map;
import java.util.Set;

/**
 * How one sequence picks its tokens and when it ends. Values are OpenAI's and vLLM's, checked here.
 *
 * @param temperature 0 is greedy; at most 2
 * @param topP nucleus mass, (0, 1]; 1 is off
 * @param topK keep the k likeliest; 0 is off
 * @param minP keep tokens with at least this share of the likeliest one's probability, [0, 1]
 * @param repetitionPenalty divides (or multiplies, if negative) logits of tokens seen in prompt or
 *     output, (0, 10]; 1 is off (CTRL, arXiv:1909.05858)
 * @param presencePenalty subtracted once from logits of tokens already generated, [-2, 2]
 * @param frequencyPenalty subtracted per occurrence of tokens already generated, [-2, 2]
 * @param logitBias added to the logits of these token ids, each in [-100, 100]
 * @param seed of the sequence's own generator
 * @param stopTokenIds ids that end the sequence (the model's end tokens are added by the caller
 *     unless the request ignores them); the stopping id is counted but not handed out
 * @param maxTokens at most this many generated tokens, at least 1
 * @param minTokens before this many tokens no stop id may be picked
 * @param logprobs alternatives reported per token: -1 none, 0 the picked token only, up to 20
 * @param promptLogprobs also report the prompt's own log-probabilities (for {@code echo})
 * @param promptLogprobsFrom first prompt position that is reported, 0 for all; what stands before
 *     may come from the prefix cache
 */
public record SamplingParams(
    double temperature,
    double topP,
    int topK,
    double minP,
    double repetitionPenalty,
    double presencePenalty,
    double frequencyPenalty,
    Map<Integer, Float> logitBias,
    long seed,
    Set<Integer> stopTokenIds,
    int maxTokens,
    int minTokens,
    int logprobs,
    boolean promptLogprobs,
    int promptLogprobsFrom) {

  /** The largest number of alternatives a request may ask for (OpenAI's bound). */
  public static final int MAX_LOGPROBS = 20;

  public SamplingParams {
    within("temperature", temperature, 0, 2);
    within("top_p", topP, Double.MIN_VALUE, 1);
    within("top_k", topK, 0, Integer.MAX_VALUE);
    within("min_p", minP, 0, 1);
    within("repetition_penalty", repetitionPenalty, Double.MIN_VALUE, 10);
    within("presence_penalty", presencePenalty, -2, 2);
    within("frequency_penalty", frequencyPenalty, -2, 2);
    within("max_tokens", maxTokens, 1, Integer.MAX_VALUE);
    within("min_tokens", minTokens, 0, maxTokens);
    within("logprobs", logprobs, -1, MAX_LOGPROBS);
    within("prompt_logprobs_from", promptLogprobsFrom, 0, Integer.MAX_VALUE);
    logitBias = Map.copyOf(logitBias);
    logitBias.forEach((id, bias) -> within("logit_bias[" + id + "]", bias, -100, 100));
    stopTokenIds = Set.copyOf(stopTokenIds);
  }

  /** As above, with the whole prompt's log-probabilities or none. */
  public SamplingParams(
      double temperature,
      double topP,
      int topK,
      double minP,
      double repetitionPenalty,
      double presencePenalty,
      double frequencyPenalty,
      Map<Integer, Float> logitBias,
      long seed,
      Set<Integer> stopTokenIds,
      int maxTokens,
      int minTokens,
      int logprobs,
      boolean promptLogprobs) {
    this(
        temperature,
        topP,
        topK,
        minP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        logitBias,
        seed,
        stopTokenIds,
        maxTokens,
        minTokens,
        logprobs,
        promptLogprobs,
        0);
  }

  /** Greedy decoding of at most {@code maxTokens} tokens, ended by {@code stopTokenIds}. */
  public static SamplingParams greedy(int maxTokens, Set<Integer> stopTokenIds) {
    return new SamplingParams(
        0, 1, 0, 0, 1, 0, 0, Map.of(), 0, stopTokenIds, maxTokens, 0, -1, false);
  }

  /** The prompt's log-probabilities from a position on, and one greedy token. */
  public static SamplingParams scoring(int promptLogprobsFrom) {
    return new SamplingParams(
        0, 1, 0, 0, 1, 0, 0, Map.of(), 0, Set.of(), 1, 0, -1, true, promptLogprobsFrom);
  }

  /** Whether the token at this position of the prompt is to be reported. */
  public boolean reportsPrompt(int position) {
    return promptLogprobs && position >= promptLogprobsFrom;
  }

  public boolean isGreedy() {
    return temperature == 0;
  }

  private static void within(String field, double value, double low, double high) {
    if (!(value >= low && value <= high)) { // also refuses NaN
      throw new IllegalArgumentException(
          low == Double.MIN_VALUE
              ? "%s is %s, wanted more than 0 and at most %s"
                  .formatted(field, plain(value), plain(high))
              : "%s is %s, wanted %s to %s"
                  .formatted(field, plain(value), plain(low), plain(high)));
    }
  }

  private static String plain(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e15
        ? Long.toString((long) value)
        : Double.toString(value);
  }
}
