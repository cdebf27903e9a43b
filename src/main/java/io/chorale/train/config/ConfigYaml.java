package io.chorale.train.config;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * A run's flags as YAML: one key a flag, named as the flag. What {@link #write} makes, {@link
 * #read} takes. Stateless.
 */
public final class ConfigYaml {
  private static final long MAX_BYTES = 1 << 20;

  private ConfigYaml() {}

  private static ObjectMapper mapper() {
    YAMLFactory factory =
        YAMLFactory.builder()
            .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
            .enable(YAMLGenerator.Feature.MINIMIZE_QUOTES)
            .enable(YAMLGenerator.Feature.ALWAYS_QUOTE_NUMBERS_AS_STRINGS)
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();
    return new ObjectMapper(factory);
  }

  /**
   * @throws IOException if the file cannot be read
   * @throws IllegalArgumentException naming the file, and the key that is unknown or of a wrong
   *     kind
   */
  public static Map<Flag, List<String>> read(Path file) throws IOException {
    if (Files.size(file) > MAX_BYTES) {
      throw new IllegalArgumentException(
          "%s has %d bytes, wanted at most %d".formatted(file, Files.size(file), MAX_BYTES));
    }
    JsonNode root;
    try {
      root = mapper().readTree(Files.readString(file));
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(file + " is no YAML: " + e.getOriginalMessage(), e);
    }
    if (root == null || root.isMissingNode() || root.isNull()) {
      return Map.of();
    }
    if (!root.isObject()) {
      throw new IllegalArgumentException(file + ": wanted keys and values, such as 'rank: 16'");
    }
    Map<Flag, List<String>> values = new EnumMap<>(Flag.class);
    for (Map.Entry<String, JsonNode> entry : root.properties()) {
      try {
        values.put(Flag.ofKey(entry.getKey()), texts(entry.getKey(), entry.getValue()));
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
      }
    }
    return values;
  }

  private static List<String> texts(String key, JsonNode value) {
    List<String> texts = new ArrayList<>();
    if (value.isArray()) {
      value.forEach(one -> texts.add(text(key, one)));
    } else if (value.isObject()) {
      value
          .properties()
          .forEach(e -> texts.add(e.getKey() + "=" + text(key + "." + e.getKey(), e.getValue())));
    } else if (!value.isNull()) {
      texts.add(text(key, value));
    }
    return texts;
  }

  private static String text(String key, JsonNode value) {
    if (!value.isValueNode() || value.isNull()) {
      throw new IllegalArgumentException("%s is %s, wanted a plain value".formatted(key, value));
    }
    return value.asText();
  }

  /**
   * Every flag that has a value; {@code resume}, {@code force} and {@code dry-run} are left out.
   */
  public static String write(FlagValues values) {
    ObjectMapper mapper = mapper();
    ObjectNode root = mapper.createObjectNode();
    for (Flag flag : Flag.values()) {
      List<String> all = values.all(flag);
      boolean ofTheCall = flag == Flag.RESUME || flag == Flag.FORCE || flag == Flag.DRY_RUN;
      if (all.isEmpty() || ofTheCall) {
        continue;
      }
      if (flag.type().many()) {
        all.forEach(root.putArray(flag.key())::add);
      } else {
        root.set(flag.key(), scalar(mapper, all.get(0)));
      }
    }
    try {
      return mapper.writeValueAsString(root);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a tree of text can be written", e);
    }
  }

  /** Numbers and switches without quotes. */
  private static JsonNode scalar(ObjectMapper mapper, String value) {
    if (value.matches("-?[0-9]{1,18}")) {
      return mapper.getNodeFactory().numberNode(Long.parseLong(value));
    }
    if (value.matches("-?[0-9]+\\.[0-9]+(E-?[0-9]+)?")) {
      return mapper.getNodeFactory().numberNode(Double.parseDouble(value));
    }
    return value.matches("true|false")
        ? mapper.getNodeFactory().booleanNode(Boolean.parseBoolean(value))
        : mapper.getNodeFactory().textNode(value);
  }
}
