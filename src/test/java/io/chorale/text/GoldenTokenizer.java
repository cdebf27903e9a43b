package io.chorale.text;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import java.util.zip.GZIPInputStream;

/** A tokenizer under golden/tokenizer and what transformers made of it; loaded once a JVM. */
record GoldenTokenizer(String name, String json, Tokenizer tokenizer, JsonNode golden) {
  static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Map<String, GoldenTokenizer> LOADED = new ConcurrentHashMap<>();

  /** One expectation: a text, its ids, its ids when control tokens are plain text. */
  record Case(String text, int[] ids, int[] plain, String decoded, String decodedAll) {}

  static GoldenTokenizer of(String name) {
    return LOADED.computeIfAbsent(
        name,
        n -> {
          String json = text(n + (n.equals("smollm2") ? ".json.gz" : ".json"));
          return new GoldenTokenizer(n, json, Tokenizer.fromJson(json), tree(n + ".golden.json"));
        });
  }

  List<Case> cases() {
    return cases(golden);
  }

  static List<Case> cases(JsonNode golden) {
    List<Case> cases = new ArrayList<>();
    for (JsonNode node : golden.path("cases")) {
      cases.add(
          new Case(
              node.path("text").asText(),
              ints(node.path("ids")),
              ints(node.path("plain")),
              node.path("decoded").asText(),
              node.path("decodedAll").asText()));
    }
    return cases;
  }

  /** The metadata that a GGUF file of this byte-level tokenizer carries. */
  Map<String, Object> asGguf(String pre) {
    JsonNode root = readTree(json);
    Map<Integer, String> byId = new HashMap<>();
    root.path("model")
        .path("vocab")
        .properties()
        .forEach(e -> byId.put(e.getValue().asInt(), e.getKey()));
    Map<Integer, Integer> types = new HashMap<>();
    for (JsonNode token : root.path("added_tokens")) {
      byId.put(token.path("id").asInt(), token.path("content").asText());
      types.put(token.path("id").asInt(), token.path("special").asBoolean() ? 3 : 4);
    }
    List<String> merges = new ArrayList<>();
    root.path("model")
        .path("merges")
        .forEach(m -> merges.add(m.path(0).asText() + " " + m.path(1).asText()));
    Map<String, Object> metadata = new HashMap<>();
    metadata.put("tokenizer.ggml.model", "gpt2");
    metadata.put("tokenizer.ggml.pre", pre);
    metadata.put(
        "tokenizer.ggml.tokens", IntStream.range(0, byId.size()).mapToObj(byId::get).toList());
    metadata.put(
        "tokenizer.ggml.token_type",
        IntStream.range(0, byId.size()).map(id -> types.getOrDefault(id, 1)).toArray());
    metadata.put("tokenizer.ggml.merges", merges);
    return metadata;
  }

  static JsonNode tree(String file) {
    return readTree(text(file));
  }

  static int[] ints(JsonNode array) {
    return IntStream.range(0, array.size()).map(i -> array.get(i).asInt()).toArray();
  }

  private static JsonNode readTree(String json) {
    try {
      return MAPPER.readTree(json);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String text(String file) {
    try (InputStream in = GoldenTokenizer.class.getResourceAsStream("/golden/tokenizer/" + file)) {
      byte[] bytes = (file.endsWith(".gz") ? new GZIPInputStream(in) : in).readAllBytes();
      return new String(bytes, StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
