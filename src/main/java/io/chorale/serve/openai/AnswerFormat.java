package io.chorale.serve.openai;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.NullNode;
import io.chorale.engine.TokenUsage;
import io.chorale.text.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** The JSON of one route's answers, whole or in chunks. Stateless; any thread. */
interface AnswerFormat {
  JsonMapper JSON =
      JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();

  /**
   * What every object of one answer repeats.
   *
   * @param created seconds since 1970
   * @param model as the client asked for it
   */
  record Head(
      String id,
      long created,
      String model,
      String systemFingerprint,
      boolean includeUsage,
      Tokenizer tokenizer) {

    /** In a chunk: absent, or null until the last. */
    Object usageSoFar() {
      return includeUsage ? NullNode.getInstance() : null;
    }

    /** How a token is shown; part of a character becomes U+FFFD. */
    String tokenText(int id) {
      return new String(tokenizer.tokenBytes(id), StandardCharsets.UTF_8);
    }

    List<Integer> tokenBytes(int id) {
      List<Integer> bytes = new ArrayList<>();
      for (byte b : tokenizer.tokenBytes(id)) {
        bytes.add(b & 0xff);
      }
      return bytes;
    }
  }

  /** Tokens of a whole answer: each prompt once, the completions of all choices. */
  record Usage(
      int promptTokens, int completionTokens, int totalTokens, PromptDetails promptTokensDetails) {

    /**
     * @param choicesPerPrompt choices that share one prompt follow each other
     */
    static Usage of(List<Choice> choices, int choicesPerPrompt) {
      int prompt = 0;
      int cached = 0;
      int completion = 0;
      for (int i = 0; i < choices.size(); i++) {
        TokenUsage usage = choices.get(i).usage();
        completion += usage.completionTokens();
        if (i % choicesPerPrompt == 0) {
          prompt += usage.promptTokens();
          cached += usage.cachedTokens();
        }
      }
      return new Usage(prompt, completion, prompt + completion, new PromptDetails(cached));
    }
  }

  /** Where the prompt's tokens came from. */
  record PromptDetails(int cachedTokens) {}

  /** First chunk of a choice, or null if this route has none. */
  byte[] opening(Choice choice);

  /**
   * @param finishReason null until the choice's last chunk
   */
  byte[] chunk(Choice choice, String text, List<Choice.Entry> entries, String finishReason);

  /** The last chunk of all, only if asked for. */
  byte[] usageChunk(Usage usage);

  /** The body of an answer that is not streamed. */
  byte[] whole(List<Choice> choices, Usage usage);

  static byte[] bytes(Object value) {
    try {
      return JSON.writeValueAsBytes(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("an answer of strings and numbers must be JSON", e);
    }
  }

  /** JSON has no infinity; OpenAI's clients read -9999 as "as good as never". */
  static double finite(float logprob) {
    return Float.isFinite(logprob) ? Math.max(logprob, -9999) : -9999;
  }
}
