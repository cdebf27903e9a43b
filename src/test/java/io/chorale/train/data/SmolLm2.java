package io.chorale.train.data;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.text.ChatPrompt;
import io.chorale.text.ChatTemplate;
import io.chorale.text.TemplateException;
import io.chorale.text.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.zip.GZIPInputStream;

/** SmolLM2's tokenizer, loaded once, under its own or another template. */
public final class SmolLm2 {
  static final JsonNode MASKS = masks();
  public static final Tokenizer TOKENIZER = tokenizer();

  private SmolLm2() {}

  public static SftEncoder.Source source() {
    return source(MASKS.at("/templates/smollm2").asText());
  }

  static SftEncoder.Source source(String template) {
    try {
      ChatPrompt prompt = new ChatPrompt(TOKENIZER, ChatTemplate.parse(template), Map.of());
      int end = TOKENIZER.tokenId("<|im_end|>").orElseThrow();
      return new SftEncoder.Source(TOKENIZER, prompt, Set.of(end), false, -1);
    } catch (TemplateException e) {
      throw new IllegalArgumentException(e);
    }
  }

  private static Tokenizer tokenizer() {
    try (InputStream in =
        new GZIPInputStream(
            SmolLm2.class.getResourceAsStream("/golden/tokenizer/smollm2.json.gz"))) {
      return Tokenizer.fromJson(new String(in.readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static JsonNode masks() {
    try (InputStream in = SmolLm2.class.getResourceAsStream("/golden/sft/masks.json")) {
      return new ObjectMapper().readTree(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
