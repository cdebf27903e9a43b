package io.chorale.train.merge;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.chorale.model.BaseModelFiles;
import io.chorale.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A tokenizer.json as {@code tokenizer.ggml.*} keys, for the vocabularies that llama.cpp splits as
 * the file says. What was written is read back and must cut a probe text like the original, else it
 * is refused. One thread.
 */
final class GgufTokenizer {
  private static final String GGML = "tokenizer.ggml.";
  private static final String PROBE =
      "Hello, world!  3 tabs:\t\t\tand 1234567 I'll  naïve Привет 你好 🙂\n\n  def f(x):\n    return x";

  // Token types of GGUF.
  private static final int NORMAL = 1;
  private static final int UNKNOWN = 2;
  private static final int CONTROL = 3;
  private static final int USER_DEFINED = 4;
  private static final int UNUSED = 5;
  private static final int BYTE = 6;

  private final BaseModelFiles base;
  private final int vocab;
  private final JsonNode json;
  private final JsonNode config;
  private final List<String> merges = new ArrayList<>();
  private final List<String> merged = new ArrayList<>();

  GgufTokenizer(BaseModelFiles base, int vocab) {
    this.base = base;
    this.vocab = vocab;
    this.json =
        parse(
            base.tokenizerJson()
                .orElseThrow(
                    () ->
                        new IllegalArgumentException(
                            "model '%s' has no tokenizer.json to put into a GGUF file"
                                .formatted(base.spec().name()))));
    this.config =
        base.tokenizerConfigJson().map(GgufTokenizer::parse).orElse(MissingNode.getInstance());
    if (!json.path("model").path("type").asText("BPE").equals("BPE")) {
      throw refused("its model is " + json.path("model").path("type") + ", wanted BPE");
    }
    readMerges();
  }

  private static JsonNode parse(String text) {
    try {
      return new ObjectMapper().readTree(text);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("tokenizer files: " + e.getOriginalMessage(), e);
    }
  }

  private IllegalArgumentException refused(String reason) {
    return new IllegalArgumentException(
        "model '%s': its tokenizer cannot be said in GGUF: %s; merge --to hf-f16 and convert that with llama.cpp"
            .formatted(base.spec().name(), reason));
  }

  private void readMerges() {
    for (JsonNode merge : json.path("model").path("merges")) {
      String text =
          merge.isArray() ? merge.get(0).asText() + " " + merge.get(1).asText() : merge.asText();
      merges.add(text);
      merged.add(
          merge.isArray()
              ? merge.get(0).asText() + merge.get(1).asText()
              : text.replaceFirst(" ", ""));
    }
  }

  /** Adds the keys. */
  void into(Map<String, Object> out) {
    boolean bytes = json.path("model").path("byte_fallback").asBoolean(false);
    out.put(GGML + "model", bytes ? "llama" : "gpt2");
    out.put(GGML + "pre", bytes ? "default" : splitting());
    String[] tokens = new String[vocab];
    Integer[] types = new Integer[vocab];
    json.path("model").path("vocab").properties().forEach(e -> put(tokens, types, e));
    String unknown = json.path("model").path("unk_token").asText("");
    for (int id = 0; id < vocab; id++) {
      if (tokens[id] != null && tokens[id].equals(unknown)) {
        types[id] = UNKNOWN;
      } else if (bytes && tokens[id] != null && tokens[id].matches("<0x[0-9A-F]{2}>")) {
        types[id] = BYTE;
      }
    }
    for (JsonNode added : json.path("added_tokens")) {
      int id = added.path("id").asInt();
      if (id < vocab) {
        tokens[id] = added.path("content").asText();
        types[id] =
            types[id] != null && types[id] == UNKNOWN
                ? UNKNOWN
                : added.path("special").asBoolean() ? CONTROL : USER_DEFINED;
      }
    }
    for (int id = 0; id < vocab; id++) {
      if (tokens[id] == null) {
        tokens[id] = "[PAD" + id + "]";
        types[id] = UNUSED;
      }
    }
    out.put(GGML + "tokens", List.of(tokens));
    out.put(GGML + "token_type", List.of(types));
    if (bytes) {
      out.put(GGML + "scores", scores(tokens));
      out.put(GGML + "add_space_prefix", spacePrefix());
    } else {
      out.put(GGML + "merges", List.copyOf(merges));
    }
    ids(out, Arrays.asList(tokens));
    base.chatTemplate().ifPresent(t -> out.put("tokenizer.chat_template", t));
    check(out);
  }

  private void put(String[] tokens, Integer[] types, Map.Entry<String, JsonNode> entry) {
    int id = entry.getValue().asInt();
    if (id < 0 || id >= vocab) {
      throw refused("token '%s' is %d of %d".formatted(entry.getKey(), id, vocab));
    }
    tokens[id] = entry.getKey();
    types[id] = NORMAL;
  }

  /** Which of llama.cpp's ways to cut text into words. */
  private String splitting() {
    Set<String> kinds = new HashSet<>(json.path("pre_tokenizer").findValuesAsText("type"));
    String regexes = String.join("\n", json.path("pre_tokenizer").findValuesAsText("Regex"));
    if (regexes.contains("\\p{N}{1,3}")) {
      return "llama-bpe";
    } else if (regexes.contains("\\p{N}|")) {
      return "qwen2";
    } else if (regexes.isEmpty() && kinds.contains("Digits")) {
      return "smollm";
    } else if (regexes.isEmpty() && kinds.contains("ByteLevel")) {
      return "gpt-2";
    }
    throw refused("it splits text in a way that is not known: " + json.path("pre_tokenizer"));
  }

  /** Sentencepiece prefers higher scores; a merge's rank below zero keeps their order. */
  private List<Object> scores(String[] tokens) {
    Map<String, Integer> ranks = new HashMap<>();
    for (int rank = 0; rank < merged.size(); rank++) {
      ranks.putIfAbsent(merged.get(rank), rank);
    }
    List<Object> scores = new ArrayList<>();
    for (String token : tokens) {
      scores.add(-(float) ranks.getOrDefault(token, merged.size()));
    }
    return scores;
  }

  private boolean spacePrefix() {
    String scheme = json.path("pre_tokenizer").path("prepend_scheme").asText("");
    boolean legacy = json.path("normalizer").findValuesAsText("prepend").contains("▁");
    return legacy || scheme.equals("first") || scheme.equals("always");
  }

  private void ids(Map<String, Object> out, List<String> tokens) {
    Map.of("bos", "bos", "eos", "eos", "unk", "unknown", "pad", "padding")
        .forEach(
            (name, key) -> {
              JsonNode token = config.path(name + "_token");
              String text = token.isObject() ? token.path("content").asText() : token.asText("");
              int id = text.isEmpty() ? -1 : tokens.indexOf(text);
              if (id >= 0) {
                out.put(GGML + key + "_token_id", id);
              }
            });
    if (!out.containsKey(GGML + "eos_token_id")) {
      base.spec().endTokenIds().stream()
          .min(Integer::compare)
          .ifPresent(id -> out.put(GGML + "eos_token_id", id));
    }
    JsonNode said = config.path("add_bos_token");
    String bos = out.get(GGML + "bos_token_id") instanceof Integer id ? tokens.get(id) : "";
    boolean added = said.isBoolean() ? said.asBoolean() : false;
    for (JsonNode single : json.path("post_processor").findValues("single")) {
      added |= !said.isBoolean() && single.path(0).findValuesAsText("id").contains(bos);
    }
    out.put(GGML + "add_bos_token", added);
  }

  private void check(Map<String, Object> written) {
    int[] wanted = Tokenizer.fromJson(base.tokenizerJson().orElseThrow()).encode(PROBE, true);
    int[] had = Tokenizer.fromGguf(written).encode(PROBE, true);
    if (!Arrays.equals(wanted, had)) {
      throw refused(
          "read back as %s it cuts a probe text into %d tokens, the original into %d"
              .formatted(written.get(GGML + "pre"), had.length, wanted.length));
    }
  }
}
