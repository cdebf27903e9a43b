package io.chorale.eval.score;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.eval.EvalException;
import java.util.Iterator;
import java.util.Optional;
import java.util.Set;

/**
 * Makes scorers by name: exact, normalised, contains, regex, numeric, json-field, python. In a test
 * file a scorer is its name or an object with its {@code type} and settings.
 *
 * @param sandbox empty unless the user allowed to run code
 */
public record Scorers(Optional<Sandbox> sandbox) {

  /**
   * @param given a name or an object
   * @param row the test row, which may hold the settings of a scorer that is given by name
   * @throws EvalException naming what is unknown, missing or not allowed
   */
  public Scorer of(JsonNode given, JsonNode row) {
    String type = given.isObject() ? given.path("type").asText() : given.asText();
    JsonNode settings = given.isObject() ? given : row;
    return switch (type) {
      case "exact" -> plain(given, TextScorer.EXACT);
      case "normalised", "normalized" -> plain(given, TextScorer.NORMALISED);
      case "contains" -> plain(given, TextScorer.CONTAINS);
      case "regex" -> {
        allow(given, Set.of("type", "pattern", "group", "match", "compare"));
        String pattern = required(type, settings, "pattern");
        yield new RegexScorer(
            pattern,
            settings.path("group").asInt(RegexScorer.usualGroup(pattern)),
            isLast(type, settings, "first"),
            compare(settings));
      }
      case "numeric" -> {
        allow(given, Set.of("type", "tolerance", "rel_tolerance", "match"));
        yield new NumericScorer(
            settings.path("tolerance").asDouble(0),
            settings.path("rel_tolerance").asDouble(1e-6),
            isLast(type, settings, "last"));
      }
      case "json-field" -> {
        allow(given, Set.of("type", "field"));
        yield new JsonFieldScorer(required(type, settings, "field"));
      }
      case "python" -> {
        allow(given, Set.of("type", "prefix", "test"));
        yield new PythonScorer(
            sandbox.orElseThrow(
                () ->
                    new EvalException(
                        "scorer python runs code that the model wrote; --allow-code-execution"
                            + " permits it")),
            settings.path("prefix").asText(""),
            required(type, settings, "test"));
      }
      default ->
          throw new EvalException(
              ("scorer is '%s', wanted exact, normalised, contains, regex, numeric, json-field or"
                      + " python")
                  .formatted(type));
    };
  }

  private static Scorer plain(JsonNode given, TextScorer scorer) {
    allow(given, Set.of("type"));
    return scorer;
  }

  private static TextScorer compare(JsonNode settings) {
    String name = settings.path("compare").asText("normalised");
    return switch (name) {
      case "exact" -> TextScorer.EXACT;
      case "normalised", "normalized" -> TextScorer.NORMALISED;
      case "contains" -> TextScorer.CONTAINS;
      default ->
          throw new EvalException(
              "scorer regex: compare is '%s', wanted exact, normalised or contains"
                  .formatted(name));
    };
  }

  private static boolean isLast(String type, JsonNode settings, String usual) {
    String match = settings.path("match").asText(usual);
    if (!match.equals("first") && !match.equals("last")) {
      throw new EvalException(
          "scorer %s: match is '%s', wanted first or last".formatted(type, match));
    }
    return match.equals("last");
  }

  private static String required(String type, JsonNode settings, String field) {
    if (!settings.path(field).isTextual()) {
      throw new EvalException("scorer %s: has no '%s', wanted a string".formatted(type, field));
    }
    return settings.get(field).textValue();
  }

  private static void allow(JsonNode given, Set<String> fields) {
    for (Iterator<String> names = given.fieldNames(); names.hasNext(); ) {
      String name = names.next();
      if (!fields.contains(name)) {
        throw new EvalException(
            "scorer %s: has '%s', wanted %s"
                .formatted(given.path("type").asText(), name, new java.util.TreeSet<>(fields)));
      }
    }
  }
}
