package io.chorale.text;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The parts of a {@code tokenizer.json} that Chorale reads or changes. Truncation, padding and the
 * post-processor (which adds BOS and the like) are taken out: encoding adds nothing by itself.
 */
final class TokenizerJson {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Set<String> SENTENCEPIECE_STEPS =
      Set.of("Replace", "ByteFallback", "Fuse", "Strip");

  /** How a vocabulary writes text, read off its decoder. */
  enum Spelling {
    /** Every character of a token is one byte ({@link ByteAlphabet}). */
    BYTE_LEVEL,
    /** {@code ▁} is a space, {@code <0xNN>} a byte. */
    SENTENCEPIECE,
    /** As before; encoding put a space in front, so decoding takes one away. */
    SENTENCEPIECE_PREFIXED
  }

  /**
   * A token matched in the text before the model sees it.
   *
   * @param control special, or spelled like one ({@code <|x|>}); user text must not produce it
   * @param singleWord matched only where no word character is beside it
   */
  record AddedToken(int id, String content, boolean special, boolean control, boolean singleWord) {}

  private final ObjectNode root;
  private final List<AddedToken> added = new ArrayList<>();

  private TokenizerJson(ObjectNode root) {
    this.root = root;
  }

  static TokenizerJson parse(String json) {
    try {
      if (MAPPER.readTree(json) instanceof ObjectNode root && root.path("model").isObject()) {
        return of(root);
      }
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(
          "tokenizer.json is not JSON: " + e.getOriginalMessage(), e);
    }
    throw new IllegalArgumentException(
        "tokenizer.json has no \"model\" object; is it a tokenizer_config.json?");
  }

  static TokenizerJson of(ObjectNode root) {
    TokenizerJson json = new TokenizerJson(root);
    for (String part : List.of("truncation", "padding", "post_processor")) {
      root.putNull(part);
    }
    for (JsonNode token : root.path("added_tokens")) {
      String content = token.path("content").asText();
      boolean special = token.path("special").asBoolean();
      json.added.add(
          new AddedToken(
              token.path("id").asInt(),
              content,
              special,
              special || looksControl(content),
              token.path("single_word").asBoolean()));
    }
    return json;
  }

  List<AddedToken> added() {
    return List.copyOf(added);
  }

  boolean byteFallback() {
    return root.path("model").path("byte_fallback").asBoolean();
  }

  /** Token texts by id; an id that no token has is null. */
  String[] tokens() {
    Map<String, Integer> ids = new HashMap<>();
    JsonNode vocab = root.path("model").path("vocab");
    if (vocab.isArray()) {
      for (int id = 0; id < vocab.size(); id++) {
        ids.put(vocab.get(id).path(0).asText(), id);
      }
    } else {
      vocab.properties().forEach(entry -> ids.put(entry.getKey(), entry.getValue().asInt()));
    }
    added.forEach(token -> ids.put(token.content(), token.id()));
    int size = ids.values().stream().mapToInt(id -> id + 1).max().orElse(0);
    String[] tokens = new String[size];
    ids.forEach((token, id) -> tokens[id] = token);
    return tokens;
  }

  /**
   * @throws IllegalArgumentException naming the decoder, if it is neither of byte-level BPE nor of
   *     sentencepiece
   */
  Spelling spelling() {
    JsonNode decoder = root.path("decoder");
    List<JsonNode> steps = new ArrayList<>();
    (decoder.path("type").asText().equals("Sequence") ? decoder.path("decoders") : List.of(decoder))
        .forEach(step -> steps.add(step));
    List<String> types = steps.stream().map(step -> step.path("type").asText("none")).toList();
    if (types.equals(List.of("ByteLevel"))) {
      return Spelling.BYTE_LEVEL;
    }
    boolean known = SENTENCEPIECE_STEPS.containsAll(types) && types.get(0).equals("Replace");
    int strip = types.indexOf("Strip");
    if (!known || strip >= 0 && !stripsOneSpace(steps.get(strip), types, strip)) {
      throw new IllegalArgumentException(
          "tokenizer decoder is %s, wanted ByteLevel or sentencepiece's Replace, ByteFallback, Fuse, Strip"
              .formatted(decoder));
    }
    return strip >= 0 ? Spelling.SENTENCEPIECE_PREFIXED : Spelling.SENTENCEPIECE;
  }

  private static boolean stripsOneSpace(JsonNode strip, List<String> types, int at) {
    return types.subList(0, at).contains("Fuse")
        && strip.path("content").asText().equals(" ")
        && strip.path("start").asInt() == 1
        && strip.path("stop").asInt() == 0;
  }

  String text() {
    return root.toString();
  }

  /**
   * The same tokenizer with control tokens spelled otherwise, so that their usual spelling is text
   * like any other. Merges that would put a control token together from pieces are left out.
   *
   * @param names control token to its new spelling
   */
  String renamed(Map<String, String> names) {
    ObjectNode copy = root.deepCopy();
    for (JsonNode token : copy.path("added_tokens")) {
      rename((ObjectNode) token, "content", names);
    }
    ObjectNode model = (ObjectNode) copy.path("model");
    rename(model, "unk_token", names);
    if (model.path("vocab").isArray()) {
      model.path("vocab").forEach(piece -> renameFirst((ArrayNode) piece, names));
    } else {
      ObjectNode vocab = JsonNodeFactory.instance.objectNode();
      model
          .path("vocab")
          .properties()
          .forEach(e -> vocab.set(names.getOrDefault(e.getKey(), e.getKey()), e.getValue()));
      model.set("vocab", vocab);
    }
    if (model.path("merges") instanceof ArrayNode merges) {
      model.set("merges", without(merges, names.keySet()));
    }
    return copy.toString();
  }

  private static ArrayNode without(ArrayNode merges, Set<String> dropped) {
    ArrayNode kept = JsonNodeFactory.instance.arrayNode(merges.size());
    for (JsonNode merge : merges) {
      String[] pair =
          merge.isArray()
              ? new String[] {merge.path(0).asText(), merge.path(1).asText()}
              : merge.asText().split(" ", 2);
      if (!dropped.contains(pair[0] + pair[1])
          && !dropped.contains(pair[0])
          && !dropped.contains(pair[1])) {
        kept.add(merge);
      }
    }
    return kept;
  }

  private static void rename(ObjectNode node, String field, Map<String, String> names) {
    String renamed = names.get(node.path(field).asText());
    if (renamed != null) {
      node.put(field, renamed);
    }
  }

  private static void renameFirst(ArrayNode piece, Map<String, String> names) {
    String renamed = names.get(piece.path(0).asText());
    if (renamed != null) {
      piece.set(0, renamed);
    }
  }

  /** llama.cpp's rule for tokens that a vocabulary forgot to mark as special. */
  private static boolean looksControl(String content) {
    return content.startsWith("<|") && content.endsWith("|>") && content.length() > 4
        || content.startsWith("<｜") && content.endsWith("｜>");
  }
}
