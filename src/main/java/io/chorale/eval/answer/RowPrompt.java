package io.chorale.eval.answer;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.eval.EvalException;
import io.chorale.eval.run.JsonRows;
import io.chorale.eval.run.ModelText;
import io.chorale.text.TemplateException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * What a row asks. Rows: {@code messages}, {@code prompt} (text or messages), or {@code
 * instruction} with perhaps {@code input} and {@code system}. A conversation that ends with an
 * answer is asked without it; that answer is the wanted one.
 *
 * @param place file:line
 * @param messages the conversation up to the answer; null for a plain prompt
 * @param instruction null unless the row has one
 * @param input of the instruction, may be empty
 * @param text the prompt of a row that is a plain prompt, else null
 * @param last the answer at the end of the conversation, else null
 */
record RowPrompt(
    String place,
    List<Map<String, Object>> messages,
    String instruction,
    String input,
    String text,
    String last) {
  private static final ObjectMapper JSON = new ObjectMapper();

  static RowPrompt of(JsonRows.Row row) {
    JsonNode fields = row.fields();
    if (fields.path("messages").isArray()) {
      return conversation(row.place(), "messages", fields.get("messages"));
    }
    if (fields.path("prompt").isArray()) {
      return conversation(row.place(), "prompt", fields.get("prompt"));
    }
    if (fields.path("prompt").isTextual()) {
      String prompt = fields.get("prompt").textValue();
      return new RowPrompt(
          row.place(), system(fields, prompt), null, "", notEmpty(row, "prompt", prompt), null);
    }
    if (fields.path("instruction").isTextual()) {
      String instruction = notEmpty(row, "instruction", fields.get("instruction").textValue());
      String input = fields.path("input").asText("");
      String user = input.isEmpty() ? instruction : instruction + "\n\n" + input;
      return new RowPrompt(row.place(), system(fields, user), instruction, input, null, null);
    }
    List<String> had = new ArrayList<>();
    fields.fieldNames().forEachRemaining(had::add);
    throw new EvalException(
        "%s: has the fields %s, wanted messages, prompt or instruction"
            .formatted(row.place(), had));
  }

  private static List<Map<String, Object>> system(JsonNode fields, String user) {
    Map<String, Object> question = Map.of("role", "user", "content", user);
    String system = fields.path("system").asText("");
    return system.isEmpty()
        ? List.of(question)
        : List.of(Map.of("role", "system", "content", system), question);
  }

  private static String notEmpty(JsonRows.Row row, String field, String text) {
    if (text.isEmpty()) {
      throw new EvalException(row.place() + ": " + field + " is empty");
    }
    return text;
  }

  private static RowPrompt conversation(String place, String field, JsonNode node) {
    List<Map<String, Object>> messages;
    try {
      messages = JSON.convertValue(node, new TypeReference<>() {});
    } catch (IllegalArgumentException e) {
      throw new EvalException(place + ": " + field + " is no array of objects", e);
    }
    for (Map<String, Object> message : messages) {
      if (!(message.get("role") instanceof String) || !(message.get("content") instanceof String)) {
        throw new EvalException(
            "%s: %s has a message without role and content as strings".formatted(place, field));
      }
    }
    String last = null;
    if (!messages.isEmpty() && "assistant".equals(lastOf(messages).get("role"))) {
      last = (String) lastOf(messages).get("content");
      messages = messages.subList(0, messages.size() - 1);
    }
    if (messages.isEmpty()) {
      throw new EvalException(place + ": " + field + " asks nothing");
    }
    return new RowPrompt(place, List.copyOf(messages), null, "", null, last);
  }

  private static Map<String, Object> lastOf(List<Map<String, Object>> messages) {
    return messages.get(messages.size() - 1);
  }

  /** The last question alone, without system prompts and earlier turns. */
  String question() {
    for (int i = messages.size() - 1; i >= 0; i--) {
      if ("user".equals(messages.get(i).get("role"))) {
        return (String) messages.get(i).get("content");
      }
    }
    return (String) lastOf(messages).get("content");
  }

  /**
   * The tokens to continue.
   *
   * @throws EvalException if the template refuses, or there is none, or the row has no such shape
   */
  int[] ids(ModelText model, PromptShape shape) {
    try {
      return switch (shape) {
        case CHAT_TEMPLATE -> chat(model);
        case INSTRUCTION -> raw(model, instructionText());
        case RAW -> raw(model, rawText());
      };
    } catch (IllegalArgumentException e) { // the tokenizer's, for half characters
      throw new EvalException(place + ": " + e.getMessage(), e);
    }
  }

  private int[] chat(ModelText model) {
    if (model.chatPrompt() == null) {
      throw new EvalException(
          "the model has no chat template; --prompt-form instruction or raw needs none");
    }
    try {
      return model.chatPrompt().encode(messages, null, true, Map.of());
    } catch (TemplateException e) {
      throw new EvalException(
          "%s: the chat template fails: %s".formatted(place, e.getMessage()), e);
    }
  }

  private static int[] raw(ModelText model, String text) {
    int[] ids = model.tokenizer().encode(text, false);
    if (!model.addBos()) {
      return ids;
    }
    int[] withBos = new int[ids.length + 1];
    withBos[0] = model.bosTokenId();
    System.arraycopy(ids, 0, withBos, 1, ids.length);
    return withBos;
  }

  private String rawText() {
    if (text != null && messages.size() == 1) {
      return text;
    }
    throw new EvalException(
        place + ": --prompt-form raw wants rows with a plain prompt and no system text");
  }

  private String instructionText() {
    StringBuilder out = new StringBuilder();
    for (Map<String, Object> message : messages) {
      String content = (String) message.get("content");
      switch ((String) message.get("role")) {
        case "user" -> out.append(userText(content));
        case "tool" -> out.append("### Input:\n").append(content).append("\n\n");
        case "assistant" ->
            throw new EvalException(
                place + ": --prompt-form instruction wants one question, this has earlier answers");
        default -> out.append(content).append("\n\n");
      }
    }
    return out.append("### Response:\n").toString();
  }

  private String userText(String content) {
    if (instruction == null) {
      return "### Instruction:\n" + content + "\n\n";
    }
    return "### Instruction:\n"
        + instruction
        + (input.isEmpty() ? "" : "\n\n### Input:\n" + input)
        + "\n\n";
  }
}
