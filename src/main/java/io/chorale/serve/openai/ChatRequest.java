package io.chorale.serve.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.serve.ApiError;
import io.chorale.serve.RequestFields;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * A checked {@code POST /v1/chat/completions}.
 *
 * @param logprobs -1 none, else how many alternatives per token
 * @param templateArguments {@code chat_template_kwargs}
 */
record ChatRequest(
    SamplingFields sampling,
    List<Map<String, Object>> messages,
    int logprobs,
    boolean addGenerationPrompt,
    Map<String, Object> templateArguments) {

  static ChatRequest read(RequestFields fields, int vocabSize) {
    SamplingFields sampling = SamplingFields.read(fields, maxTokens(fields), vocabSize);
    ChatRequest request =
        new ChatRequest(
            sampling,
            Messages.read(fields),
            logprobs(fields),
            fields.bool("add_generation_prompt", true),
            templateArguments(fields));
    acceptAndRefuse(fields);
    fields.end();
    return request;
  }

  private static OptionalInt maxTokens(RequestFields fields) {
    OptionalInt current = fields.integer("max_completion_tokens", 1, Integer.MAX_VALUE);
    OptionalInt old = fields.integer("max_tokens", 1, Integer.MAX_VALUE);
    if (current.isPresent() && old.isPresent() && !current.equals(old)) {
      throw ApiError.invalid(
          "max_tokens",
          "invalid_value",
          "'max_tokens' and 'max_completion_tokens' differ; send one of them.");
    }
    return current.isPresent() ? current : old;
  }

  private static int logprobs(RequestFields fields) {
    boolean wanted = fields.bool("logprobs", false);
    OptionalInt top = fields.integer("top_logprobs", 0, 20);
    if (top.orElse(0) > 0 && !wanted) {
      throw ApiError.invalid(
          "top_logprobs",
          "invalid_value",
          "'top_logprobs' is only allowed when 'logprobs' is true.");
    }
    return wanted ? top.orElse(0) : -1;
  }

  private static Map<String, Object> templateArguments(RequestFields fields) {
    RequestFields object = fields.object("chat_template_kwargs");
    Map<String, Object> arguments = new LinkedHashMap<>();
    if (object != null) {
      object
          .node()
          .fields()
          .forEachRemaining(e -> arguments.put(e.getKey(), Messages.plain(e.getValue())));
    }
    for (String reserved : List.of("messages", "tools", "add_generation_prompt")) {
      if (arguments.containsKey(reserved)) {
        throw ApiError.invalid(
            "chat_template_kwargs",
            "invalid_value",
            "'chat_template_kwargs' may not set '" + reserved + "'.");
      }
    }
    return arguments;
  }

  private static void acceptAndRefuse(RequestFields fields) {
    fields.neutral("tool_choice", v -> v.asText().matches("none|auto"));
    fields.neutral("function_call", v -> v.asText().matches("none|auto"));
    fields.neutral("parallel_tool_calls", JsonNode::isBoolean);
    fields.neutral(
        "modalities", v -> v.isArray() && v.size() == 1 && v.path(0).asText().equals("text"));
    fields.neutral("reasoning_effort", v -> v.asText().equals("none"));
    fields.neutral("verbosity", v -> v.asText().equals("medium"));
    fields.neutral("echo", v -> v.isBoolean() && !v.booleanValue());
    fields.neutral("continue_final_message", v -> v.isBoolean() && !v.booleanValue());
    fields.neutral("add_special_tokens", v -> v.isBoolean() && !v.booleanValue());
    fields.refuse(
        "tools",
        "functions",
        "audio",
        "prediction",
        "web_search_options",
        "moderation",
        "documents",
        "chat_template",
        "mm_processor_kwargs");
  }
}
