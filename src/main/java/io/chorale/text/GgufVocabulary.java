package io.chorale.text;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.lang.reflect.Array;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Writes a {@code tokenizer.json} for a GGUF file's {@code tokenizer.ggml.*} keys. The rules are
 * those of transformers' GGUF conversion (per kind of vocabulary: normalizer, splitting, decoder);
 * a sentencepiece vocabulary has scores only, so its merges are derived from them.
 */
final class GgufVocabulary {
  private static final String PREFIX = "tokenizer.ggml.";
  private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

  // Token types of GGUF.
  private static final int UNKNOWN = 2;
  private static final int CONTROL = 3;
  private static final int USER_DEFINED = 4;

  private static final String CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  private static final String REST =
      "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  private static final String WORDS = CONTRACTIONS + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
  private static final String LLAMA3_SPLIT = WORDS + "|\\p{N}{1,3}" + REST;
  private static final String QWEN2_SPLIT = WORDS + "|\\p{N}" + REST;

  private final Map<String, Object> metadata;
  private final List<String> tokens = new ArrayList<>();
  private final Map<String, Integer> ids = new HashMap<>();

  GgufVocabulary(Map<String, Object> metadata) {
    this.metadata = metadata;
    Object array = array("tokens");
    for (int id = 0; id < size(array); id++) {
      String token = String.valueOf(at(array, id));
      tokens.add(token);
      Integer first = ids.putIfAbsent(token, id);
      if (first != null) {
        throw new IllegalArgumentException(
            "%stokens has '%s' at %d and %d, wanted distinct tokens"
                .formatted(PREFIX, token, first, id));
      }
    }
  }

  ObjectNode tokenizerJson() {
    ObjectNode root = JSON.objectNode();
    root.put("version", "1.0");
    root.set("added_tokens", addedTokens());
    String kind = String.valueOf(metadata.get(PREFIX + "model"));
    switch (kind) {
      case "gpt2" -> byteLevel(root);
      case "llama" -> sentencepiece(root);
      default ->
          throw new IllegalArgumentException(
              "%smodel is '%s', wanted gpt2 or llama; put the model's tokenizer.json beside it"
                  .formatted(PREFIX, kind));
    }
    return root;
  }

  private void byteLevel(ObjectNode root) {
    String pre = String.valueOf(metadata.getOrDefault(PREFIX + "pre", "default"));
    ObjectNode model = model(merges());
    switch (pre) {
      case "gpt-2", "default" -> root.set("pre_tokenizer", byteLevelStep(true));
      case "smollm" ->
          root.set("pre_tokenizer", sequence("pretokenizers", digits(), byteLevelStep(true)));
      case "llama-bpe", "llama3", "llama-v3" -> {
        root.set("pre_tokenizer", split(LLAMA3_SPLIT));
        model.put("ignore_merges", true);
      }
      case "qwen2" -> {
        root.set("normalizer", type("NFC"));
        root.set("pre_tokenizer", split(QWEN2_SPLIT));
      }
      default ->
          throw new IllegalArgumentException(
              "%spre is '%s', wanted smollm, gpt-2, default, llama-bpe, llama3, llama-v3 or qwen2; put the model's tokenizer.json beside it"
                  .formatted(PREFIX, pre));
    }
    root.set("decoder", byteLevelStep(true));
    root.set("model", model);
  }

  private void sentencepiece(ObjectNode root) {
    String architecture = String.valueOf(metadata.get("general.architecture"));
    if (architecture.startsWith("gemma") || architecture.equals("phi3")) {
      throw new IllegalArgumentException(
          "the tokenizer of architecture '%s' treats spaces in a way that GGUF does not record; put the model's tokenizer.json beside it"
              .formatted(architecture));
    }
    boolean prefixed =
        !Boolean.FALSE.equals(metadata.getOrDefault(PREFIX + "add_space_prefix", true));
    root.set(
        "pre_tokenizer",
        type("Metaspace")
            .put("replacement", "▁")
            .put("prepend_scheme", prefixed ? "first" : "never")
            .put("split", false));
    ObjectNode replace = type("Replace").put("content", " ");
    replace.set("pattern", JSON.objectNode().put("String", "▁"));
    ObjectNode decoder = sequence("decoders", replace, type("ByteFallback"), type("Fuse"));
    if (prefixed) {
      decoder
          .withArrayProperty("decoders")
          .add(type("Strip").put("content", " ").put("start", 1).put("stop", 0));
    }
    root.set("decoder", decoder);
    ObjectNode model =
        model(metadata.containsKey(PREFIX + "merges") ? merges() : mergesFromScores());
    model.put("byte_fallback", true).put("fuse_unk", true);
    for (int id = 0; id < tokens.size(); id++) {
      if (tokenType(id) == UNKNOWN) {
        model.put("unk_token", tokens.get(id));
      }
    }
    root.set("model", model);
  }

  private ObjectNode model(ArrayNode merges) {
    ObjectNode model = type("BPE");
    model.putNull("dropout").putNull("unk_token");
    model.putNull("continuing_subword_prefix").putNull("end_of_word_suffix");
    model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", false);
    ObjectNode vocab = model.putObject("vocab");
    for (int id = 0; id < tokens.size(); id++) {
      vocab.put(tokens.get(id), id);
    }
    model.set("merges", merges);
    return model;
  }

  private ArrayNode merges() {
    Object array = array("merges");
    ArrayNode merges = JSON.arrayNode(size(array));
    for (int i = 0; i < size(array); i++) {
      String merge = String.valueOf(at(array, i));
      int space = merge.indexOf(' ', 1); // a piece may be a space itself, never empty
      if (space < 0) {
        throw new IllegalArgumentException(
            "%smerges[%d] is '%s', wanted two tokens with a space between"
                .formatted(PREFIX, i, merge));
      }
      merges.add(pair(merge.substring(0, space), merge.substring(space + 1)));
    }
    return merges;
  }

  /** One way to put a token together. Lengths are in characters. */
  private record Merge(String left, String right, double score, int leftChars, int rightChars) {}

  /**
   * Every cut of a token into two tokens, best score first; ties as in transformers: longer left
   * part, then longer right part, then lower ids.
   */
  private ArrayNode mergesFromScores() {
    Object scores = array("scores");
    List<Merge> merges = new ArrayList<>();
    for (int id = 0; id < tokens.size(); id++) {
      addCuts(tokens.get(id), ((Number) at(scores, id)).doubleValue(), merges);
    }
    merges.sort(
        Comparator.comparingDouble(Merge::score)
            .thenComparingInt(Merge::leftChars)
            .thenComparingInt(Merge::rightChars)
            .reversed());
    ArrayNode array = JSON.arrayNode(merges.size());
    merges.forEach(merge -> array.add(pair(merge.left(), merge.right())));
    return array;
  }

  private void addCuts(String token, double score, List<Merge> merges) {
    int chars = token.codePointCount(0, token.length());
    Map<Long, Merge> cuts = new TreeMap<>(); // by (left id, right id)
    for (int left = 1; left < chars; left++) {
      int at = token.offsetByCodePoints(0, left);
      Integer leftId = ids.get(token.substring(0, at));
      Integer rightId = ids.get(token.substring(at));
      if (leftId != null && rightId != null) {
        cuts.put(
            (long) leftId << 32 | rightId,
            new Merge(token.substring(0, at), token.substring(at), score, left, chars - left));
      }
    }
    merges.addAll(cuts.values());
  }

  private ArrayNode addedTokens() {
    ArrayNode added = JSON.arrayNode();
    for (int id = 0; id < tokens.size(); id++) {
      int type = tokenType(id);
      if (type == CONTROL || type == USER_DEFINED || type == UNKNOWN) {
        added
            .addObject()
            .put("id", id)
            .put("content", tokens.get(id))
            .put("single_word", false)
            .put("lstrip", false)
            .put("rstrip", false)
            .put("normalized", false)
            .put("special", type != USER_DEFINED);
      }
    }
    return added;
  }

  private int tokenType(int id) {
    Object types = metadata.get(PREFIX + "token_type");
    return types == null ? 1 : ((Number) at(types, id)).intValue();
  }

  private Object array(String key) {
    Object array = metadata.get(PREFIX + key);
    if (array instanceof List<?> || array != null && array.getClass().isArray()) {
      return array;
    }
    throw new IllegalArgumentException(
        "GGUF metadata has %s for %s%s, wanted an array"
            .formatted(array == null ? "nothing" : array.getClass().getSimpleName(), PREFIX, key));
  }

  private static int size(Object array) {
    return array instanceof List<?> list ? list.size() : Array.getLength(array);
  }

  private static Object at(Object array, int index) {
    return array instanceof List<?> list ? list.get(index) : Array.get(array, index);
  }

  private static ArrayNode pair(String left, String right) {
    return JSON.arrayNode(2).add(left).add(right);
  }

  private static ObjectNode type(String type) {
    return JSON.objectNode().put("type", type);
  }

  private static ObjectNode sequence(String field, ObjectNode... steps) {
    ObjectNode sequence = type("Sequence");
    ArrayNode array = sequence.putArray(field);
    for (ObjectNode step : steps) {
      array.add(step);
    }
    return sequence;
  }

  private static ObjectNode byteLevelStep(boolean useRegex) {
    return type("ByteLevel")
        .put("add_prefix_space", false)
        .put("trim_offsets", true)
        .put("use_regex", useRegex);
  }

  private static ObjectNode digits() {
    return type("Digits").put("individual_digits", true);
  }

  private static ObjectNode split(String regex) {
    ObjectNode split = type("Split").put("behavior", "Isolated").put("invert", false);
    split.set("pattern", JSON.objectNode().put("Regex", regex));
    return sequence("pretokenizers", split, byteLevelStep(false));
  }
}
