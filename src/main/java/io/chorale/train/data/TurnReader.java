package io.chorale.train.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.train.data.read.Finding.Kind;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Reads the turns of a conversation into messages for a chat template, and checks their order. */
final class TurnReader {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** What the two families of chat data call things. */
  enum Names {
    OPENAI("role", "content"),
    SHAREGPT("from", "value");

    private final String role;
    private final String content;

    Names(String role, String content) {
      this.role = role;
      this.content = content;
    }
  }

  private final RowParser row;
  private final Names names;
  private final List<String> roles = new ArrayList<>();
  private final List<String> places = new ArrayList<>();
  private boolean whole = true;

  TurnReader(RowParser row, Names names) {
    this.row = row;
    this.names = names;
  }

  List<Map<String, Object>> read(String field, Object value) {
    List<Map<String, Object>> messages = new ArrayList<>();
    if (!(value instanceof List<?> turns)) {
      whole = false;
      row.add(
          Kind.NOT_AN_OBJECT,
          field,
          "is no array of turns",
          "write [{\"%s\": ..., \"%s\": ...}, ...]".formatted(names.role, names.content));
      return messages;
    }
    if (turns.isEmpty()) {
      whole = false;
      row.empty(field);
    }
    for (int i = 0; i < turns.size(); i++) {
      String place = field + "[" + i + "]";
      if (turns.get(i) instanceof Map<?, ?> turn) {
        messages.add(turn(place, turn));
      } else {
        whole = false;
        row.add(
            Kind.NOT_AN_OBJECT,
            place,
            "is no object",
            "write {\"%s\": ..., \"%s\": ...}".formatted(names.role, names.content));
      }
    }
    return messages;
  }

  private Map<String, Object> turn(String place, Map<?, ?> turn) {
    String role = role(place, turn.get(names.role));
    roles.add(role);
    places.add(place);
    Map<String, Object> message = new LinkedHashMap<>();
    if (names == Names.OPENAI) {
      turn.forEach((name, value) -> message.put(String.valueOf(name), value));
    }
    message.put("role", role);
    boolean calls = message.get("tool_calls") instanceof List<?> list && !list.isEmpty();
    String field = place + "." + names.content;
    Object content = joined(turn.get(names.content));
    if (content instanceof String text) {
      if (!text.isBlank()) {
        row.text(field, text, role.equals("assistant"));
      } else if (!calls && !role.equals("tool")) {
        row.empty(field);
      }
    } else if (content != null) {
      row.notAString(field, content);
    } else if (!calls) {
      row.add(
          turn.containsKey(names.content) ? Kind.EMPTY : Kind.MISSING_FIELD,
          field,
          turn.containsKey(names.content) ? "is null" : "is missing; the turn has " + turn.keySet(),
          "fill it in, or remove the row");
    }
    message.put("content", content);
    if (calls) {
      message.put("tool_calls", calls(place, (List<?>) message.get("tool_calls")));
    }
    return message;
  }

  private String role(String place, Object said) {
    String role = said instanceof String text ? text.toLowerCase(Locale.ROOT) : "";
    String known =
        switch (role) {
          case "system", "user", "assistant", "tool" -> role;
          case "human" -> "user";
          case "gpt", "chatgpt", "model", "bot" -> "assistant";
          case "observation" -> "tool";
          default -> "";
        };
    boolean other = names == Names.OPENAI && !known.equals(said);
    if (known.isEmpty() || other) {
      whole = false;
      row.add(
          said == null ? Kind.MISSING_FIELD : Kind.UNKNOWN_ROLE,
          place + "." + names.role,
          said == null ? "is missing" : "is '" + said + "'",
          names == Names.OPENAI
              ? "wanted system, user, assistant or tool"
              : "wanted system, human, gpt or tool");
    }
    return known;
  }

  /** OpenAI's content parts, if all are text, are one text. */
  private static Object joined(Object content) {
    if (!(content instanceof List<?> parts)) {
      return content;
    }
    StringBuilder text = new StringBuilder();
    for (Object part : parts) {
      if (part instanceof Map<?, ?> map && map.get("text") instanceof String piece) {
        text.append(piece);
      } else {
        return content;
      }
    }
    return text.toString();
  }

  /** Arguments come as JSON in a string from OpenAI; templates want the object. */
  private List<Object> calls(String place, List<?> calls) {
    List<Object> read = new ArrayList<>();
    for (int i = 0; i < calls.size(); i++) {
      String field = place + ".tool_calls[" + i + "]";
      if (calls.get(i) instanceof Map<?, ?> call
          && call.get("function") instanceof Map<?, ?> function
          && function.get("name") instanceof String) {
        Map<Object, Object> opened = new LinkedHashMap<>(function);
        if (function.get("arguments") instanceof String json) {
          opened.put("arguments", arguments(field + ".function.arguments", json));
        }
        Map<Object, Object> copy = new LinkedHashMap<>(call);
        copy.put("function", opened);
        read.add(copy);
      } else {
        row.add(
            Kind.NOT_AN_OBJECT,
            field,
            "has no function with a name",
            "write {\"type\": \"function\", \"function\": {\"name\": ..., \"arguments\": {...}}}");
      }
    }
    return read;
  }

  private Object arguments(String field, String json) {
    try {
      return json.isBlank() ? Map.of() : JSON.readValue(json, Object.class);
    } catch (JsonProcessingException e) {
      row.add(Kind.UNREADABLE, field, "is no JSON", "write the arguments as an object");
      return json;
    }
  }

  /**
   * System first if at all, then user and assistant in turns, tools after a call, an answer last.
   */
  void checkOrder() {
    if (!whole || roles.isEmpty()) {
      return;
    }
    String before = "";
    for (int i = 0; i < roles.size(); i++) {
      String role = roles.get(i);
      boolean right =
          switch (role) {
            case "system" -> before.isEmpty();
            case "user" -> !before.equals("user") && !before.equals("tool");
            case "assistant" -> before.equals("user") || before.equals("tool");
            default -> before.equals("assistant") || before.equals("tool");
          };
      if (!right) {
        String after = before.isEmpty() ? "comes first" : "follows " + before;
        wrong(i, role + " " + after);
        return;
      }
      before = role;
    }
    if (!before.equals("assistant")) {
      wrong(roles.size() - 1, "the last turn is " + before + ", so nothing is learned from it");
    }
  }

  private void wrong(int turn, String reason) {
    row.add(
        Kind.TURN_ORDER,
        places.get(turn),
        reason,
        "wanted: system at most once and first, user and assistant in turns, an answer at the end");
  }
}
