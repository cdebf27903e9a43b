package io.chorale.train.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.train.data.read.Finding;
import io.chorale.train.data.read.Finding.Kind;
import io.chorale.train.data.read.RawRow;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Takes a row apart by its format and says what stands against that. One row, one thread. */
final class RowParser {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path file;
  private final RawRow row;
  private final List<ParsedRow.Text> texts = new ArrayList<>();
  private final List<Finding> findings = new ArrayList<>();
  private boolean usable = true;

  private RowParser(Path file, RawRow row) {
    this.file = file;
    this.row = row;
    findings.addAll(row.findings());
  }

  static ParsedRow parse(Path file, RecordFormat format, RawRow row) {
    RowParser parser = new RowParser(file, row);
    Conversation conversation =
        row.fields().map(fields -> parser.conversation(format, fields)).orElse(null);
    return new ParsedRow(
        row.line(),
        row.fields(),
        parser.usable ? Optional.ofNullable(conversation) : Optional.empty(),
        parser.texts,
        parser.findings);
  }

  private Conversation conversation(RecordFormat format, Map<String, Object> fields) {
    return switch (format) {
      case ALPACA -> alpaca(fields);
      case TEXT -> Conversation.plain(required(fields, "text", true));
      case PROMPT_COMPLETION -> promptCompletion(fields);
      case MESSAGES ->
          Conversation.of(turns(fields, "messages", TurnReader.Names.OPENAI), tools(fields));
      case SHAREGPT ->
          Conversation.of(turns(fields, "conversations", TurnReader.Names.SHAREGPT), tools(fields));
    };
  }

  private Conversation alpaca(Map<String, Object> fields) {
    return Conversation.alpaca(
        optional(fields, "system"),
        required(fields, "instruction", false),
        optional(fields, "input"),
        required(fields, "output", true));
  }

  private Conversation promptCompletion(Map<String, Object> fields) {
    List<Map<String, Object>> messages = new ArrayList<>();
    if (fields.get("prompt") instanceof List || fields.get("completion") instanceof List) {
      TurnReader reader = new TurnReader(this, TurnReader.Names.OPENAI);
      messages.addAll(reader.read("prompt", fields.get("prompt")));
      messages.addAll(reader.read("completion", fields.get("completion")));
      reader.checkOrder();
    } else {
      messages.add(message("user", required(fields, "prompt", false)));
      messages.add(message("assistant", required(fields, "completion", true)));
    }
    return Conversation.of(messages, tools(fields));
  }

  private List<Map<String, Object>> turns(
      Map<String, Object> fields, String field, TurnReader.Names names) {
    TurnReader reader = new TurnReader(this, names);
    List<Map<String, Object>> messages = new ArrayList<>();
    String system = names == TurnReader.Names.SHAREGPT ? optional(fields, "system") : "";
    if (!system.isEmpty()) {
      messages.add(message("system", system));
    }
    if (fields.containsKey(field)) {
      messages.addAll(reader.read(field, fields.get(field)));
      reader.checkOrder();
    } else {
      missing(field, fields);
    }
    return messages;
  }

  private static Map<String, Object> message(String role, String content) {
    return Map.of("role", role, "content", content);
  }

  private List<Map<String, Object>> tools(Map<String, Object> fields) {
    Object tools = fields.get("tools");
    if (tools instanceof String json && !json.isBlank()) { // how TRL's data sets keep them
      try {
        tools = JSON.readValue(json, Object.class);
      } catch (JsonProcessingException e) {
        tools = json;
      }
    }
    if (tools == null || tools instanceof List<?> none && none.isEmpty() || "".equals(tools)) {
      return null;
    }
    try {
      return JSON.convertValue(tools, new TypeReference<List<Map<String, Object>>>() {});
    } catch (IllegalArgumentException e) {
      add(
          Kind.NOT_AN_OBJECT,
          "tools",
          "is no array of objects",
          "write the tools as OpenAI has them: [{\"type\": \"function\", \"function\": {...}}]");
      return null;
    }
  }

  private String optional(Map<String, Object> fields, String field) {
    Object value = fields.get(field);
    if (value == null) {
      return "";
    }
    if (!(value instanceof String text)) {
      notAString(field, value);
      return "";
    }
    if (!text.isEmpty()) {
      text(field, text, false);
    }
    return text;
  }

  private String required(Map<String, Object> fields, String field, boolean trained) {
    Object value = fields.get(field);
    if (!fields.containsKey(field)) {
      missing(field, fields);
    } else if (!(value instanceof String text)) {
      notAString(field, value);
    } else if (text.isBlank()) {
      empty(field);
    } else {
      text(field, text, trained);
      return text;
    }
    return "";
  }

  private void missing(String field, Map<String, Object> fields) {
    add(
        Kind.MISSING_FIELD,
        field,
        "is missing; the row has " + fields.keySet(),
        "add it, or name another --format");
  }

  void notAString(String field, Object value) {
    String was =
        value == null ? "null" : value instanceof List ? "an array" : kind(value.getClass());
    add(Kind.NOT_A_STRING, field, "is " + was + ", wanted a string", "put it into quotes");
  }

  private static String kind(Class<?> type) {
    if (Number.class.isAssignableFrom(type)) {
      return "a number";
    }
    return type == Boolean.class ? "true or false" : "an object";
  }

  void empty(String field) {
    add(Kind.EMPTY, field, "is empty", "fill it in, or remove the row");
  }

  void text(String field, String text, boolean trained) {
    texts.add(new ParsedRow.Text(field, text, trained));
  }

  void add(Kind kind, String field, String reason, String fix) {
    usable &= !kind.error();
    findings.add(new Finding(file, row.line(), kind, field, reason, fix));
  }
}
