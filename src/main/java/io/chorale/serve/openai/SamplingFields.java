package io.chorale.serve.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.sched.SamplingParams;
import io.chorale.sched.draft.Drafting;
import io.chorale.serve.ApiError;
import io.chorale.serve.RequestFields;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The fields that chat and text completions share: which model, how to answer, how to sample.
 *
 * @param n choices per prompt
 * @param topK 0 is off (a request may say -1 too)
 * @param seed empty: another one each time
 * @param maxTokens empty: to the end of the context
 * @param drafting whether next tokens are guessed and checked several at a time
 */
record SamplingFields(
    String model,
    boolean stream,
    boolean includeUsage,
    int n,
    List<String> stops,
    double temperature,
    double topP,
    int topK,
    double minP,
    double repetitionPenalty,
    double presencePenalty,
    double frequencyPenalty,
    Map<Integer, Float> logitBias,
    OptionalLong seed,
    Set<Integer> stopTokenIds,
    boolean ignoreEos,
    OptionalInt maxTokens,
    int minTokens,
    Drafting drafting) {

  static final int MAX_CHOICES = 128;
  private static final int MAX_STOPS = 16;
  private static final int MAX_STOP_CHARS = 1000;

  /**
   * @param maxTokens read by the caller, because its name differs
   * @param vocabSize bound of token ids
   */
  static SamplingFields read(RequestFields fields, OptionalInt maxTokens, int vocabSize) {
    String model = fields.requiredString("model");
    boolean stream = fields.bool("stream", false);
    int n = fields.integer("n", 1, MAX_CHOICES).orElse(1);
    fields.neutral("best_of", v -> v.isInt() && v.intValue() == n);
    SamplingFields read =
        new SamplingFields(
            model,
            stream,
            includeUsage(fields, stream),
            n,
            stops(fields),
            fields.number("temperature", 1),
            fields.number("top_p", 1),
            Math.max(0, fields.integer("top_k", -1, Integer.MAX_VALUE).orElse(0)),
            fields.number("min_p", 0),
            fields.number("repetition_penalty", 1),
            fields.number("presence_penalty", 0),
            fields.number("frequency_penalty", 0),
            logitBias(fields, vocabSize),
            fields.wholeNumber("seed"),
            stopTokenIds(fields, vocabSize),
            fields.bool("ignore_eos", false),
            maxTokens,
            fields.integer("min_tokens", 0, Integer.MAX_VALUE).orElse(0),
            drafting(fields));
    acceptAndRefuse(fields);
    return read;
  }

  /**
   * @param budget tokens that this choice may generate, at least 1
   * @param choice counted from 0; each has its own seed
   * @param logprobs -1 for none
   */
  SamplingParams params(
      int budget, int choice, int logprobs, boolean promptLogprobs, Set<Integer> endTokenIds) {
    Set<Integer> ends = new HashSet<>(stopTokenIds);
    if (!ignoreEos) {
      ends.addAll(endTokenIds);
    }
    try {
      return new SamplingParams(
          temperature,
          topP,
          topK,
          minP,
          repetitionPenalty,
          presencePenalty,
          frequencyPenalty,
          logitBias,
          seed.isPresent() ? seed.getAsLong() + choice : ThreadLocalRandom.current().nextLong(),
          ends,
          budget,
          minTokens,
          logprobs,
          promptLogprobs);
    } catch (IllegalArgumentException e) {
      String field = e.getMessage().split("[ \\[]", 2)[0];
      throw ApiError.invalid(field, "invalid_value", e.getMessage() + ".");
    }
  }

  private static Drafting drafting(RequestFields fields) {
    JsonNode value = fields.take("speculative");
    if (value != null && !value.isBoolean()) {
      throw fields.wrongType("speculative", "a boolean", value);
    }
    return value == null ? Drafting.AUTO : value.booleanValue() ? Drafting.ALWAYS : Drafting.NEVER;
  }

  private static boolean includeUsage(RequestFields fields, boolean stream) {
    RequestFields options = fields.object("stream_options");
    if (options == null) {
      return false;
    }
    boolean include = options.bool("include_usage", false);
    options.accept("include_obfuscation");
    options.neutral("continuous_usage_stats", v -> v.isBoolean() && !v.booleanValue());
    options.end();
    if (!stream) {
      throw ApiError.invalid(
          "stream_options",
          "invalid_value",
          "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    }
    return include;
  }

  private static List<String> stops(RequestFields fields) {
    JsonNode value = fields.take("stop");
    List<String> stops = new ArrayList<>();
    if (value == null) {
      return stops;
    }
    if (value.isTextual()) {
      stops.add(value.textValue());
    } else if (value.isArray()) {
      for (JsonNode each : value) {
        if (!each.isTextual()) {
          throw fields.wrongType("stop", "a string or an array of strings", each);
        }
        stops.add(each.textValue());
      }
    } else {
      throw fields.wrongType("stop", "a string or an array of strings", value);
    }
    if (stops.size() > MAX_STOPS
        || stops.stream().anyMatch(s -> s.isEmpty() || s.length() > MAX_STOP_CHARS)) {
      throw ApiError.invalid(
          "stop",
          "invalid_value",
          "'stop' wants at most %d strings of 1 to %d characters."
              .formatted(MAX_STOPS, MAX_STOP_CHARS));
    }
    return stops;
  }

  private static Map<Integer, Float> logitBias(RequestFields fields, int vocabSize) {
    RequestFields object = fields.object("logit_bias");
    Map<Integer, Float> bias = new HashMap<>();
    if (object == null) {
      return bias;
    }
    Iterator<String> ids = object.node().fieldNames();
    while (ids.hasNext()) {
      String id = ids.next();
      if (!id.matches("\\d{1,9}") || Integer.parseInt(id) >= vocabSize) {
        throw ApiError.invalid(
            "logit_bias",
            "invalid_value",
            "'logit_bias' has the key '%s', wanted token ids from 0 to %d."
                .formatted(ApiError.shown(id), vocabSize - 1));
      }
      bias.put(Integer.parseInt(id), (float) object.number(id, 0));
    }
    return bias;
  }

  private static Set<Integer> stopTokenIds(RequestFields fields, int vocabSize) {
    JsonNode value = fields.take("stop_token_ids");
    if (value == null) {
      return Set.of();
    }
    int[] ids = tokenIds(fields, "stop_token_ids", value, vocabSize);
    Set<Integer> set = new HashSet<>();
    for (int id : ids) {
      set.add(id);
    }
    return set;
  }

  /** An array of token ids of the vocabulary. */
  static int[] tokenIds(RequestFields fields, String name, JsonNode value, int vocabSize) {
    if (!value.isArray()) {
      throw fields.wrongType(name, "an array of token ids", value);
    }
    int[] ids = new int[value.size()];
    for (int i = 0; i < ids.length; i++) {
      JsonNode id = value.get(i);
      if (!id.isIntegralNumber()) {
        throw fields.wrongType(name + "[" + i + "]", "a token id", id);
      }
      if (!id.canConvertToInt() || id.intValue() < 0 || id.intValue() >= vocabSize) {
        throw ApiError.invalid(
            name,
            "invalid_value",
            "'%s[%d]' is %s, wanted a token id from 0 to %d."
                .formatted(name, i, ApiError.shown(id.asText()), vocabSize - 1));
      }
      ids[i] = id.intValue();
    }
    return ids;
  }

  /** OpenAI's and vLLM's fields of both routes that this server does not compute with. */
  private static void acceptAndRefuse(RequestFields fields) {
    fields.accept(
        "user",
        "metadata",
        "store",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "request_id");
    fields.neutral("service_tier", v -> v.asText().matches("auto|default"));
    fields.neutral("priority", v -> v.isNumber() && v.doubleValue() == 0);
    fields.neutral("use_beam_search", v -> v.isBoolean() && !v.booleanValue());
    fields.neutral("length_penalty", v -> v.isNumber() && v.doubleValue() == 1);
    fields.neutral("skip_special_tokens", v -> v.isBoolean() && v.booleanValue());
    fields.neutral("spaces_between_special_tokens", JsonNode::isBoolean);
    fields.neutral("include_stop_str_in_output", v -> v.isBoolean() && !v.booleanValue());
    fields.neutral("return_token_ids", v -> v.isBoolean() && !v.booleanValue());
    fields.neutral("response_format", v -> v.path("type").asText().equals("text") && v.size() == 1);
    fields.refuse(
        "truncate_prompt_tokens",
        "prompt_logprobs",
        "allowed_token_ids",
        "bad_words",
        "logits_processors",
        "structured_outputs",
        "guided_json",
        "guided_regex",
        "guided_choice",
        "guided_grammar",
        "kv_transfer_params",
        "vllm_xargs");
  }
}
