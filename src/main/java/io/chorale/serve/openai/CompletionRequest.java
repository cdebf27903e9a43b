package io.chorale.serve.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.serve.ApiError;
import io.chorale.serve.RequestFields;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * A checked {@code POST /v1/completions}.
 *
 * @param prompts one or more
 * @param logprobs -1 none, else how many alternatives per token
 * @param echo the answer begins with the prompt
 */
record CompletionRequest(
    SamplingFields sampling, List<Prompt> prompts, int logprobs, boolean echo) {

  /**
   * What to continue: text or token ids, the other is null. (A record with an array: compared by
   * identity, and it never is.)
   */
  record Prompt(String text, int[] ids) {}

  static CompletionRequest read(RequestFields fields, int vocabSize) {
    boolean echo = fields.bool("echo", false);
    OptionalInt maxTokens = fields.integer("max_tokens", echo ? 0 : 1, Integer.MAX_VALUE);
    SamplingFields sampling = SamplingFields.read(fields, maxTokens, vocabSize);
    CompletionRequest request =
        new CompletionRequest(
            sampling,
            prompts(fields, vocabSize),
            fields.integer("logprobs", 0, 20).orElse(-1),
            echo);
    int choices = request.prompts.size() * sampling.n();
    if (choices > SamplingFields.MAX_CHOICES) {
      throw ApiError.invalid(
          "n",
          "invalid_value",
          "%d prompts with n = %d make %d choices, wanted at most %d."
              .formatted(
                  request.prompts.size(), sampling.n(), choices, SamplingFields.MAX_CHOICES));
    }
    fields.neutral("suffix", v -> v.isTextual() && v.textValue().isEmpty());
    fields.neutral("add_special_tokens", v -> v.isBoolean() && v.booleanValue());
    fields.refuse("prompt_embeds");
    fields.end();
    return request;
  }

  private static List<Prompt> prompts(RequestFields fields, int vocabSize) {
    JsonNode value = fields.take("prompt");
    if (value == null) {
      throw fields.missing("prompt");
    }
    List<Prompt> prompts = new ArrayList<>();
    if (value.isTextual()) {
      prompts.add(new Prompt(value.textValue(), null));
    } else if (value.isArray() && value.path(0).isNumber()) {
      prompts.add(new Prompt(null, SamplingFields.tokenIds(fields, "prompt", value, vocabSize)));
    } else if (value.isArray() && !value.isEmpty()) {
      for (int i = 0; i < value.size(); i++) {
        prompts.add(prompt(fields, "prompt[" + i + "]", value.get(i), vocabSize));
      }
    } else {
      throw fields.wrongType("prompt", "a string, token ids, or an array of either", value);
    }
    return prompts;
  }

  private static Prompt prompt(RequestFields fields, String name, JsonNode value, int vocabSize) {
    return value.isTextual()
        ? new Prompt(value.textValue(), null)
        : new Prompt(null, SamplingFields.tokenIds(fields, name, value, vocabSize));
  }
}
