package io.chorale.format;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * The file names and the {@code adapter_config.json} of a PEFT adapter folder, as PEFT 0.21.2
 * writes it and as older versions and other trainers do: absent keys have PEFT's defaults. Bytes to
 * record only; whether an option can be served is decided elsewhere. Stateless; any thread.
 */
public final class PeftAdapterFiles {
  public static final String CONFIG = "adapter_config.json";
  public static final String WEIGHTS = "adapter_model.safetensors";

  /** The fingerprint of the base that an adapter was trained on, written by our own trainer. */
  public static final String BASE_FINGERPRINT = "chorale_base_fingerprint";

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .build();

  private static final Set<String> READ =
      Set.of(
          "peft_type",
          "task_type",
          "r",
          "lora_alpha",
          "use_rslora",
          "use_dora",
          "lora_bias",
          "bias",
          "fan_in_fan_out",
          "target_modules",
          "exclude_modules",
          "layers_to_transform",
          "layers_pattern",
          "rank_pattern",
          "alpha_pattern",
          "modules_to_save",
          "init_lora_weights",
          "ensure_weight_tying",
          "base_model_name_or_path",
          BASE_FINGERPRINT);

  private PeftAdapterFiles() {}

  /** Module names: a regular expression of Python, or a list. */
  public record ModuleNames(Optional<String> pattern, List<String> names) {
    @Override
    public String toString() {
      return pattern.orElseGet(names::toString);
    }
  }

  /**
   * The options.
   *
   * @param targetModules empty if the key is absent or null
   * @param layersToTransform empty: all layers
   * @param rankPattern in the file's order, which decides when two patterns match
   * @param initLoraWeights lower case; {@code true} if absent
   * @param others every other option that is set: neither null, false, "", [] nor {}; value as JSON
   */
  public record Config(
      String peftType,
      Optional<String> taskType,
      int rank,
      double alpha,
      boolean rslora,
      boolean dora,
      boolean loraBias,
      String bias,
      boolean fanInFanOut,
      Optional<ModuleNames> targetModules,
      ModuleNames excludeModules,
      List<Integer> layersToTransform,
      List<String> layersPattern,
      Map<String, Integer> rankPattern,
      Map<String, Double> alphaPattern,
      List<String> modulesToSave,
      String initLoraWeights,
      boolean ensureWeightTying,
      Optional<String> baseModel,
      Optional<String> baseFingerprint,
      Map<String, String> others) {}

  /**
   * Parses an {@code adapter_config.json}.
   *
   * @throws IllegalArgumentException naming the key, what it has and what was wanted
   */
  public static Config config(byte[] json) {
    JsonNode root;
    try {
      root = JSON.readTree(new String(json, StandardCharsets.UTF_8));
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(CONFIG + " is not JSON: " + e.getOriginalMessage(), e);
    }
    if (!root.isObject()) {
      throw new IllegalArgumentException(CONFIG + " is not a JSON object");
    }
    return new Config(
        text(root, "peft_type").orElse(""),
        text(root, "task_type"),
        whole(root, "r", 8),
        number(root, "lora_alpha", 8),
        flag(root, "use_rslora"),
        flag(root, "use_dora"),
        flag(root, "lora_bias"),
        text(root, "bias").orElse("none"),
        flag(root, "fan_in_fan_out"),
        moduleNames(root, "target_modules"),
        moduleNames(root, "exclude_modules").orElse(new ModuleNames(Optional.empty(), List.of())),
        layers(root),
        strings(root, "layers_pattern"),
        rankPattern(root),
        alphaPattern(root),
        strings(root, "modules_to_save"),
        init(root),
        flag(root, "ensure_weight_tying"),
        text(root, "base_model_name_or_path"),
        text(root, BASE_FINGERPRINT),
        others(root));
  }

  private static Optional<JsonNode> value(JsonNode root, String key) {
    return Optional.ofNullable(root.get(key)).filter(node -> !node.isNull());
  }

  private static IllegalArgumentException wanted(String key, JsonNode had, String wanted) {
    return new IllegalArgumentException(
        CONFIG + ": " + key + " is " + brief(had) + ", wanted " + wanted);
  }

  private static String brief(JsonNode node) {
    String text = node.toString();
    return text.length() > 80 ? text.substring(0, 80) + "..." : text;
  }

  private static Optional<String> text(JsonNode root, String key) {
    Optional<JsonNode> node = value(root, key);
    node.filter(n -> !n.isTextual())
        .ifPresent(
            n -> {
              throw wanted(key, n, "a string");
            });
    return node.map(JsonNode::textValue);
  }

  private static boolean flag(JsonNode root, String key) {
    JsonNode node = value(root, key).orElse(null);
    if (node != null && !node.isBoolean()) {
      throw wanted(key, node, "true or false");
    }
    return node != null && node.booleanValue();
  }

  private static int whole(JsonNode root, String key, int absent) {
    return value(root, key).map(node -> whole(key, node)).orElse(absent);
  }

  private static int whole(String key, JsonNode node) {
    if (!node.isIntegralNumber() || !node.canConvertToInt()) {
      throw wanted(key, node, "a whole number");
    }
    return node.intValue();
  }

  private static double number(JsonNode root, String key, double absent) {
    return value(root, key).map(node -> number(key, node)).orElse(absent);
  }

  private static double number(String key, JsonNode node) {
    if (!node.isNumber() || !Double.isFinite(node.doubleValue())) {
      throw wanted(key, node, "a number");
    }
    return node.doubleValue();
  }

  /** A list of strings; one string counts as a list of one. */
  private static List<String> strings(JsonNode root, String key) {
    JsonNode node = value(root, key).orElse(null);
    if (node == null) {
      return List.of();
    }
    if (node.isTextual()) {
      return node.textValue().isEmpty() ? List.of() : List.of(node.textValue());
    }
    if (!node.isArray()) {
      throw wanted(key, node, "a list of strings");
    }
    List<String> list = new ArrayList<>();
    for (JsonNode item : node) {
      if (!item.isTextual()) {
        throw wanted(key, node, "a list of strings");
      }
      list.add(item.textValue());
    }
    return List.copyOf(list);
  }

  private static Optional<ModuleNames> moduleNames(JsonNode root, String key) {
    JsonNode node = value(root, key).orElse(null);
    if (node == null) {
      return Optional.empty();
    }
    if (node.isTextual()) {
      return Optional.of(new ModuleNames(Optional.of(node.textValue()), List.of()));
    }
    return Optional.of(new ModuleNames(Optional.empty(), strings(root, key)));
  }

  private static List<Integer> layers(JsonNode root) {
    String key = "layers_to_transform";
    JsonNode node = value(root, key).orElse(null);
    if (node == null) {
      return List.of();
    }
    if (!node.isArray()) {
      return List.of(whole(key, node));
    }
    List<Integer> list = new ArrayList<>();
    node.forEach(item -> list.add(whole(key, item)));
    return List.copyOf(list);
  }

  private static Map<String, Integer> rankPattern(JsonNode root) {
    Map<String, Integer> map = new LinkedHashMap<>();
    fields(root, "rank_pattern")
        .forEach((k, v) -> map.put(k, whole("rank_pattern '" + k + "'", v)));
    return map;
  }

  private static Map<String, Double> alphaPattern(JsonNode root) {
    Map<String, Double> map = new LinkedHashMap<>();
    fields(root, "alpha_pattern")
        .forEach((k, v) -> map.put(k, number("alpha_pattern '" + k + "'", v)));
    return map;
  }

  private static Map<String, JsonNode> fields(JsonNode root, String key) {
    JsonNode node = value(root, key).orElse(null);
    if (node != null && !node.isObject()) {
      throw wanted(key, node, "an object of patterns");
    }
    Map<String, JsonNode> map = new LinkedHashMap<>();
    if (node != null) {
      node.properties().forEach(field -> map.put(field.getKey(), field.getValue()));
    }
    return map;
  }

  private static String init(JsonNode root) {
    JsonNode node = value(root, "init_lora_weights").orElse(null);
    if (node != null && !node.isBoolean() && !node.isTextual()) {
      throw wanted("init_lora_weights", node, "true, false or a name");
    }
    return node == null ? "true" : node.asText().toLowerCase(Locale.ROOT);
  }

  private static Map<String, String> others(JsonNode root) {
    Map<String, String> set = new TreeMap<>();
    root.properties()
        .forEach(
            field -> {
              if (!READ.contains(field.getKey()) && isSet(field.getValue())) {
                set.put(field.getKey(), brief(field.getValue()));
              }
            });
    return set;
  }

  private static boolean isSet(JsonNode node) {
    boolean neutral =
        node.isNull()
            || (node.isBoolean() && !node.booleanValue())
            || (node.isTextual() && node.textValue().isEmpty())
            || (node.isContainerNode() && node.isEmpty());
    return !neutral;
  }
}
