package io.chorale.eval.score;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.eval.EvalException;
import java.io.IOException;
import java.util.List;

/**
 * Compares one field of the first JSON object or array in the answer; text around it (a fence, a
 * sentence) is passed over. Numbers compare as numbers, text as {@link TextScorer#NORMALISED}.
 */
final class JsonFieldScorer implements Scorer {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final String field;

  /**
   * @param field names and array indexes with dots between them, such as {@code result.0.code}
   */
  JsonFieldScorer(String field) {
    if (field.isBlank()) {
      throw new EvalException(
          "scorer json-field: field is empty, wanted a name such as result.code");
    }
    this.field = field;
  }

  @Override
  public String label() {
    return "json-field";
  }

  @Override
  public Verdict score(String answer, List<String> wanted) {
    JsonNode root = first(answer);
    if (root == null) {
      return Verdict.missing("there is no JSON");
    }
    JsonNode value = root;
    for (String name : field.split("\\.")) {
      boolean index = value.isArray() && name.matches("\\d{1,9}");
      value = index ? value.path(Integer.parseInt(name)) : value.path(name);
    }
    if (value.isMissingNode()) {
      return Verdict.missing("there is no field " + field);
    }
    JsonNode found = value;
    String seen = found.isValueNode() ? found.asText() : found.toString();
    return Verdict.of(wanted.stream().anyMatch(each -> equal(found, seen, each)), seen);
  }

  private static boolean equal(JsonNode found, String seen, String wanted) {
    if (found.isNumber()) {
      Double right = NumericScorer.find(wanted, true);
      return right != null && new NumericScorer(0, 1e-9, true).near(found.asDouble(), right);
    }
    if (found.isContainerNode()) {
      try {
        return found.equals(JSON.readTree(wanted));
      } catch (JsonProcessingException e) {
        return false;
      }
    }
    return SquadText.of(seen).equals(SquadText.of(wanted));
  }

  /** The first object or array that reads; null if none does. */
  private static JsonNode first(String answer) {
    for (int i = 0; i < answer.length(); i++) {
      char c = answer.charAt(i);
      if (c == '{' || c == '[') {
        try (JsonParser parser = JSON.createParser(answer.substring(i))) {
          JsonNode node = JSON.readTree(parser);
          if (node != null && node.isContainerNode()) {
            return node;
          }
        } catch (IOException e) {
          continue; // a brace in a sentence
        }
      }
    }
    return null;
  }
}
