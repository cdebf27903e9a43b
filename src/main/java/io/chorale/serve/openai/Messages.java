package io.chorale.serve.openai;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.chorale.serve.ApiError;
import io.chorale.serve.RequestFields;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The {@code messages} array as chat templates want it: maps of plain values, text parts joined by
 * a line break, {@code developer} said as {@code system}, a tool call's arguments as an object.
 */
final class Messages {
  private static final Set<String> ROLES =
      Set.of("system", "developer", "user", "assistant", "tool");
  private static final JsonMapper JSON = new JsonMapper();

  private Messages() {}

  static List<Map<String, Object>> read(RequestFields fields) {
    JsonNode array = fields.take("messages");
    if (array == null) {
      throw fields.missing("messages");
    }
    if (!array.isArray()) {
      throw fields.wrongType("messages", "an array of messages", array);
    }
    if (array.isEmpty()) {
      throw ApiError.invalid(
          "messages", "invalid_value", "'messages' is empty, wanted one or more.");
    }
    List<Map<String, Object>> messages = new ArrayList<>();
    for (int i = 0; i < array.size(); i++) {
      String path = "messages[" + i + "]";
      if (!array.get(i).isObject()) {
        throw fields.wrongType(path, "an object", array.get(i));
      }
      messages.add(message(new RequestFields(path, (ObjectNode) array.get(i))));
    }
    return messages;
  }

  private static Map<String, Object> message(RequestFields fields) {
    String role = fields.requiredString("role");
    if (!ROLES.contains(role)) {
      throw ApiError.invalid(
          fields.at("role"),
          "invalid_value",
          "'%s' is '%s', wanted system, developer, user, assistant or tool."
              .formatted(fields.at("role"), ApiError.shown(role)));
    }
    Map<String, Object> message = new LinkedHashMap<>();
    message.put("role", role.equals("developer") ? "system" : role);
    JsonNode calls = role.equals("assistant") ? fields.take("tool_calls") : null;
    String content = content(fields);
    if (content == null && calls == null) {
      throw fields.missing("content");
    }
    message.put("content", content);
    putIfGiven(message, fields, "name");
    if (calls != null && !calls.isEmpty()) {
      message.put("tool_calls", toolCalls(fields, calls));
    }
    if (role.equals("tool")) {
      putIfGiven(message, fields, "tool_call_id");
    }
    if (role.equals("assistant")) {
      putIfGiven(message, fields, "reasoning_content");
      fields.refuse("refusal", "audio", "function_call", "annotations");
    }
    fields.end();
    return message;
  }

  private static void putIfGiven(Map<String, Object> message, RequestFields fields, String name) {
    String value = fields.string(name);
    if (value != null) {
      message.put(name, value);
    }
  }

  private static String content(RequestFields fields) {
    JsonNode value = fields.take("content");
    if (value == null) {
      return null;
    }
    if (value.isTextual()) {
      return value.textValue();
    }
    if (!value.isArray()) {
      throw fields.wrongType("content", "a string or an array of text parts", value);
    }
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < value.size(); i++) {
      texts.add(textPart(fields, "content[" + i + "]", value.get(i)));
    }
    return String.join("\n", texts);
  }

  private static String textPart(RequestFields fields, String name, JsonNode part) {
    if (!part.isObject()) {
      throw fields.wrongType(name, "an object", part);
    }
    RequestFields object = new RequestFields(fields.at(name), (ObjectNode) part);
    String type = object.requiredString("type");
    if (!type.equals("text")) {
      throw ApiError.invalid(
          fields.at(name),
          "unsupported_value",
          "'%s' is of type '%s'; this model reads text only."
              .formatted(fields.at(name), ApiError.shown(type)));
    }
    String text = object.requiredString("text");
    object.end();
    return text;
  }

  private static List<Object> toolCalls(RequestFields fields, JsonNode calls) {
    if (!calls.isArray()) {
      throw fields.wrongType("tool_calls", "an array", calls);
    }
    List<Object> list = new ArrayList<>();
    for (int i = 0; i < calls.size(); i++) {
      String name = "tool_calls[" + i + "]";
      if (!calls.get(i).isObject()) {
        throw fields.wrongType(name, "an object", calls.get(i));
      }
      list.add(toolCall(new RequestFields(fields.at(name), (ObjectNode) calls.get(i))));
    }
    return list;
  }

  private static Map<String, Object> toolCall(RequestFields fields) {
    Map<String, Object> call = new LinkedHashMap<>();
    putIfGiven(call, fields, "id");
    fields.neutral("type", v -> v.asText().equals("function"));
    call.put("type", "function");
    RequestFields function = fields.object("function");
    if (function == null) {
      throw fields.missing("function");
    }
    Map<String, Object> inner = new LinkedHashMap<>();
    inner.put("name", function.requiredString("name"));
    inner.put("arguments", arguments(function.requiredString("arguments")));
    function.end();
    call.put("function", inner);
    fields.accept("index");
    fields.end();
    return call;
  }

  /** The object that the model once wrote as text, or that text if it never was an object. */
  private static Object arguments(String text) {
    try {
      JsonNode node = JSON.readTree(text);
      return node != null && node.isObject() ? plain(node) : text;
    } catch (JsonProcessingException e) {
      return text; // a model's own broken JSON is shown to the template as it stands
    }
  }

  /** Maps, lists and scalars instead of JSON nodes. */
  static Object plain(JsonNode node) {
    return JSON.convertValue(node, Object.class);
  }
}
