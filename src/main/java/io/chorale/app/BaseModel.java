package io.chorale.app;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.model.BaseModelFiles;
import io.chorale.text.ChatPrompt;
import io.chorale.text.ChatTemplate;
import io.chorale.text.TemplateException;
import io.chorale.text.Tokenizer;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.jboss.logging.Logger;

/**
 * The text side of a base model's files: its tokenizer, its chat template, and which tokens begin
 * and end a text.
 *
 * @param chatPrompt null if the model has no chat template
 * @param addBos a raw prompt starts with {@code bosTokenId}
 * @param bosTokenId -1 if the model has none
 */
public record BaseModel(
    Tokenizer tokenizer, ChatPrompt chatPrompt, boolean addBos, int bosTokenId) {
  private static final Logger LOG = Logger.getLogger(BaseModel.class);

  /** Reads them; warns if there is no chat template. */
  public static BaseModel of(BaseModelFiles files) {
    Map<String, Object> gguf = files.ggufMetadata();
    Tokenizer tokenizer =
        files.tokenizerJson().map(Tokenizer::fromJson).orElseGet(() -> Tokenizer.fromGguf(gguf));
    Map<String, Object> globals = new HashMap<>();
    boolean addBos;
    if (files.tokenizerConfigJson().isPresent()) {
      JsonNode config = parse("tokenizer_config.json", files.tokenizerConfigJson().get());
      for (String name : new String[] {"bos_token", "eos_token", "pad_token", "unk_token"}) {
        tokenText(config.get(name)).ifPresent(text -> globals.put(name, text));
      }
      addBos =
          config.path("add_bos_token").isBoolean()
              ? config.get("add_bos_token").booleanValue()
              : postProcessorAdds((String) globals.get("bos_token"), files.tokenizerJson());
    } else {
      globalFromId(globals, "bos_token", gguf.get("tokenizer.ggml.bos_token_id"), tokenizer);
      globalFromId(globals, "eos_token", gguf.get("tokenizer.ggml.eos_token_id"), tokenizer);
      addBos =
          gguf.get("tokenizer.ggml.add_bos_token") instanceof Boolean said ? said : usual(gguf);
    }
    int bos =
        Optional.ofNullable((String) globals.get("bos_token"))
            .map(text -> tokenizer.tokenId(text).orElse(-1))
            .orElse(-1);
    return new BaseModel(tokenizer, chatPrompt(files, tokenizer, globals), addBos && bos >= 0, bos);
  }

  /** Whether tokenizer.json puts this token before a single text. */
  private static boolean postProcessorAdds(String bos, Optional<String> tokenizerJson) {
    if (bos == null || tokenizerJson.isEmpty()) {
      return false;
    }
    for (JsonNode single :
        parse("tokenizer.json", tokenizerJson.get()).path("post_processor").findValues("single")) {
      if (single.path(0).path("SpecialToken").path("id").asText().equals(bos)) {
        return true;
      }
    }
    return false;
  }

  /** What llama.cpp does for a file that does not say. */
  private static boolean usual(Map<String, Object> gguf) {
    return "llama".equals(gguf.get("tokenizer.ggml.model"))
        || "llama-bpe".equals(gguf.get("tokenizer.ggml.pre"));
  }

  private static ChatPrompt chatPrompt(
      BaseModelFiles files, Tokenizer tokenizer, Map<String, Object> globals) {
    if (files.chatTemplate().isEmpty()) {
      LOG.warn("the model has no chat template: /v1/chat/completions is refused");
      return null;
    }
    try {
      return new ChatPrompt(tokenizer, ChatTemplate.parse(files.chatTemplate().get()), globals);
    } catch (TemplateException e) {
      throw new IllegalArgumentException("the model's chat template: " + e.getMessage(), e);
    }
  }

  private static JsonNode parse(String file, String json) {
    try {
      return new ObjectMapper().readTree(json);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(file + " is no JSON: " + e.getOriginalMessage(), e);
    }
  }

  /** A token is a string, or an object with its {@code content}. */
  private static Optional<String> tokenText(JsonNode token) {
    if (token == null || token.isNull()) {
      return Optional.empty();
    }
    return Optional.of(token.isTextual() ? token.asText() : token.path("content").asText());
  }

  private static void globalFromId(
      Map<String, Object> globals, String name, Object id, Tokenizer tokenizer) {
    if (id instanceof Number number) {
      tokenizer.token(number.intValue()).ifPresent(text -> globals.put(name, text));
    }
  }
}
