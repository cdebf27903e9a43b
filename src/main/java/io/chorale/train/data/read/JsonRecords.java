package io.chorale.train.data.read;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Map;

/** How JSON is read here, and how its errors are told. */
final class JsonRecords {
  static final ObjectMapper MAPPER =
      new ObjectMapper()
          .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  /** For elements inside an array, which something always follows. */
  static final ObjectMapper STREAM =
      new ObjectMapper().enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION);

  static final TypeReference<Map<String, Object>> OBJECT = new TypeReference<>() {};

  private JsonRecords() {}

  static String reason(JsonProcessingException e) {
    String told = e.getOriginalMessage();
    int line = told.indexOf('\n');
    told = line < 0 ? told : told.substring(0, line);
    int column = e.getLocation() == null ? -1 : e.getLocation().getColumnNr();
    return "is no whole JSON object: %s%s"
        .formatted(told.strip(), column < 0 ? "" : " (column " + column + ")");
  }

  static Finding notAnObject(java.nio.file.Path file, long line, Object was) {
    String kind =
        was == null
            ? "null"
            : was instanceof java.util.List
                ? "an array"
                : was instanceof String ? "a string" : was.getClass().getSimpleName();
    return new Finding(
        file,
        line,
        Finding.Kind.NOT_AN_OBJECT,
        "",
        "row is " + kind + ", wanted an object with named fields",
        "write each row as {\"field\": \"value\", ...}");
  }
}
