package io.chorale.eval.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.eval.EvalException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Reads JSON Lines, or one JSON array of objects. */
public final class JsonRows {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private JsonRows() {}

  /**
   * A row and where it stands.
   *
   * @param place file:line, for messages; in an array file[index]
   */
  public record Row(String place, JsonNode fields) {}

  /**
   * @throws EvalException naming file and line of what is no JSON object; if there is no row
   */
  public static List<Row> read(Path file) {
    String text;
    try {
      text = Files.readString(file);
    } catch (CharacterCodingException e) {
      throw new EvalException(file + ": is no UTF-8 text", e);
    } catch (IOException e) {
      throw new EvalException(file + ": cannot be read: " + e.getMessage(), e);
    }
    List<Row> rows = text.stripLeading().startsWith("[") ? array(file, text) : lines(file, text);
    if (rows.isEmpty()) {
      throw new EvalException(file + ": has no rows");
    }
    return rows;
  }

  private static List<Row> array(Path file, String text) {
    List<Row> rows = new ArrayList<>();
    for (JsonNode each : parse(file.toString(), text)) {
      rows.add(object(file + "[" + rows.size() + "]", each));
    }
    return rows;
  }

  private static List<Row> lines(Path file, String text) {
    List<Row> rows = new ArrayList<>();
    String[] lines = text.split("\n", -1);
    for (int i = 0; i < lines.length; i++) {
      if (!lines[i].isBlank()) {
        String place = file + ":" + (i + 1);
        rows.add(object(place, parse(place, lines[i])));
      }
    }
    return rows;
  }

  private static JsonNode parse(String place, String text) {
    try {
      return JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new EvalException(place + ": is no JSON: " + e.getOriginalMessage(), e);
    }
  }

  private static Row object(String place, JsonNode node) {
    if (!node.isObject()) {
      throw new EvalException("%s: is %s, wanted an object".formatted(place, node.getNodeType()));
    }
    return new Row(place, node);
  }
}
