package io.chorale.serve;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.Iterator;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;

/**
 * One JSON object read field by field. Each field is honoured (read by a typed method), accepted
 * (changes nothing), neutral (only a value that changes nothing is let through) or, by {@link
 * #end}, unknown and refused by name. An explicit null is the same as an absent field. One thread.
 */
public final class RequestFields {
  private static final ObjectReader JSON =
      JsonMapper.builder()
          .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build()
          .readerFor(JsonNode.class);

  private final String path;
  private final ObjectNode object;
  private final Set<String> known = new TreeSet<>();

  public RequestFields(String path, ObjectNode object) {
    this.path = path;
    this.object = object;
  }

  /** The body, which must be one JSON object of well-formed Unicode. */
  public static RequestFields parse(byte[] body) {
    JsonNode node;
    try {
      node = JSON.readValue(body);
    } catch (JsonProcessingException e) {
      throw unreadable(e);
    } catch (IOException e) {
      throw ApiError.invalid(null, "invalid_json", "The body is not valid UTF-8.");
    }
    if (node == null || !node.isObject()) {
      throw ApiError.invalid(null, "invalid_json", "The body is not a JSON object.");
    }
    refuseBrokenText("", node);
    return new RequestFields("", (ObjectNode) node);
  }

  private static ApiError unreadable(JsonProcessingException e) {
    String why = e.getOriginalMessage().lines().findFirst().orElse("");
    int detail = why.indexOf(" (");
    String place =
        e.getLocation() == null
            ? ""
            : " (line %d, column %d)"
                .formatted(e.getLocation().getLineNr(), e.getLocation().getColumnNr());
    String shown = why.contains("com.fasterxml") || why.contains("java.") ? "" : why;
    return ApiError.invalid(
        null,
        "invalid_json",
        "We could not parse the JSON body of your request%s: %s"
            .formatted(
                place, detail > 0 && shown.length() > detail ? shown.substring(0, detail) : shown));
  }

  /** A lone surrogate has no UTF-8 form, so no tokenizer could answer for it. */
  private static void refuseBrokenText(String path, JsonNode node) {
    if (node.isTextual()) {
      requireWellFormed(path, node.textValue());
    } else if (node.isArray()) {
      for (int i = 0; i < node.size(); i++) {
        refuseBrokenText(path + "[" + i + "]", node.get(i));
      }
    } else if (node.isObject()) {
      Iterator<Map.Entry<String, JsonNode>> fields = node.fields();
      while (fields.hasNext()) {
        Map.Entry<String, JsonNode> field = fields.next();
        String child = path.isEmpty() ? field.getKey() : path + "." + field.getKey();
        requireWellFormed(path, field.getKey());
        refuseBrokenText(child, field.getValue());
      }
    }
  }

  private static void requireWellFormed(String path, String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (!Character.isSurrogate(c)) {
        continue;
      }
      if (Character.isHighSurrogate(c)
          && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
        continue;
      }
      throw ApiError.invalid(
          path.isEmpty() ? null : path,
          "invalid_unicode",
          "'%s' holds a lone surrogate at character %d, which is not Unicode text."
              .formatted(path, i));
    }
  }

  /** The field's value, or null if it is absent or null. */
  public JsonNode take(String name) {
    known.add(name);
    JsonNode value = object.get(name);
    return value == null || value.isNull() ? null : value;
  }

  public String string(String name) {
    JsonNode value = take(name);
    if (value != null && !value.isTextual()) {
      throw wrongType(name, "a string", value);
    }
    return value == null ? null : value.textValue();
  }

  public String requiredString(String name) {
    String value = string(name);
    if (value == null) {
      throw missing(name);
    }
    return value;
  }

  public boolean bool(String name, boolean fallback) {
    JsonNode value = take(name);
    if (value != null && !value.isBoolean()) {
      throw wrongType(name, "a boolean", value);
    }
    return value == null ? fallback : value.booleanValue();
  }

  public double number(String name, double fallback) {
    JsonNode value = take(name);
    if (value != null && !value.isNumber()) {
      throw wrongType(name, "a number", value);
    }
    return value == null ? fallback : value.doubleValue();
  }

  public OptionalLong wholeNumber(String name) {
    JsonNode value = take(name);
    if (value == null) {
      return OptionalLong.empty();
    }
    if (!value.isIntegralNumber() || !value.canConvertToLong()) {
      throw wrongType(name, "an integer", value);
    }
    return OptionalLong.of(value.longValue());
  }

  public OptionalInt integer(String name, int low, int high) {
    OptionalLong value = wholeNumber(name);
    if (value.isEmpty()) {
      return OptionalInt.empty();
    }
    if (value.getAsLong() < low || value.getAsLong() > high) {
      throw ApiError.invalid(
          at(name),
          "invalid_value",
          "'%s' is %d, wanted %d to %d.".formatted(at(name), value.getAsLong(), low, high));
    }
    return OptionalInt.of((int) value.getAsLong());
  }

  /** An object field, or null. */
  public RequestFields object(String name) {
    JsonNode value = take(name);
    if (value != null && !value.isObject()) {
      throw wrongType(name, "an object", value);
    }
    return value == null ? null : new RequestFields(at(name), (ObjectNode) value);
  }

  public ObjectNode node() {
    return object;
  }

  /** Fields that change nothing in the answer, whatever they hold. */
  public void accept(String... names) {
    known.addAll(Set.of(names));
  }

  /** A field whose other values would change the answer in a way that is not built. */
  public void neutral(String name, Predicate<JsonNode> changesNothing) {
    JsonNode value = take(name);
    if (value != null && !changesNothing.test(value)) {
      throw ApiError.invalid(
          at(name),
          "unsupported_value",
          "Unsupported value: '%s' is not supported with %s; leave the field out."
              .formatted(at(name), ApiError.shown(value.toString())));
    }
  }

  /** Fields that are known and not built at all: only null and empty values pass. */
  public void refuse(String... names) {
    for (String name : names) {
      JsonNode value = take(name);
      if (value != null && !(value.isContainerNode() && value.isEmpty())) {
        throw ApiError.invalid(
            at(name),
            "unsupported_parameter",
            "Unsupported parameter: '%s' is not supported by this server.".formatted(at(name)));
      }
    }
  }

  /** Call last: any field that nobody asked for is refused by name. */
  public void end() {
    Iterator<String> names = object.fieldNames();
    while (names.hasNext()) {
      String name = names.next();
      if (!known.contains(name)) {
        String near = nearest(name);
        throw ApiError.invalid(
            at(name),
            "unknown_parameter",
            "Unknown parameter: '%s'.%s"
                .formatted(
                    ApiError.shown(at(name)), near == null ? "" : " Did you mean '" + near + "'?"));
      }
    }
  }

  /** Every field name that has been asked for: after {@link #end}, all that exist. */
  public Set<String> known() {
    return known;
  }

  public ApiError missing(String name) {
    return ApiError.invalid(
        at(name), "missing_required_parameter", "Missing required parameter: '" + at(name) + "'.");
  }

  public ApiError wrongType(String name, String wanted, JsonNode got) {
    String article =
        switch (got.getNodeType()) {
          case ARRAY, OBJECT -> "an ";
          default -> "a ";
        };
    String kind = got.getNodeType().name().toLowerCase(Locale.ROOT);
    return ApiError.invalid(
        at(name),
        "invalid_type",
        "Invalid type for '%s': expected %s, but got %s%s instead."
            .formatted(at(name), wanted, article, kind));
  }

  public String at(String name) {
    return path.isEmpty() ? name : path + "." + name;
  }

  private String nearest(String name) {
    String best = null;
    int bestDistance = 3;
    for (String candidate : known) {
      int distance = distance(name, candidate, bestDistance);
      if (distance < bestDistance) {
        bestDistance = distance;
        best = candidate;
      }
    }
    return best;
  }

  /** Edit distance, or {@code limit} if it is at least that. */
  private static int distance(String a, String b, int limit) {
    if (Math.abs(a.length() - b.length()) >= limit) {
      return limit;
    }
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int above = row[j];
        int swap = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        row[j] = Math.min(swap, Math.min(above, row[j - 1]) + 1);
        diagonal = above;
      }
    }
    return row[b.length()];
  }
}
