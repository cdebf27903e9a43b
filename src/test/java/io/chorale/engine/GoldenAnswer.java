package io.chorale.engine;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * What transformers and PEFT make of one prompt with one adapter (golden/real-model/README.md).
 *
 * @param adapter base, legal or code
 * @param prompt its name
 * @param promptIds rendered by transformers' chat template
 * @param text the answer up to the first end token
 * @param outputIds 64 greedy tokens, not stopped by the end token
 * @param gaps best minus second-best logit at each of them
 * @param topIds the 20 largest logits after the prompt, and {@code topLogits} their values
 * @param probeIds fixed vocabulary ids, and {@code probeLogits} their logits after the prompt
 */
public record GoldenAnswer(
    String adapter,
    String prompt,
    List<Map<String, Object>> messages,
    int[] promptIds,
    String text,
    int[] outputIds,
    double[] gaps,
    int[] topIds,
    double[] topLogits,
    int[] probeIds,
    double[] probeLogits) {
  private static final Path FOLDER = Path.of("src/test/resources/golden/real-model");
  private static final ObjectMapper JSON = new ObjectMapper();

  @Override
  public String toString() {
    return adapter + " on " + prompt;
  }

  /** Leading tokens that the reference picked over the second best by at least so much. */
  public int sureTokens(double gap) {
    int count = 0;
    while (count < gaps.length && gaps[count] >= gap) {
      count++;
    }
    return count;
  }

  /** All prompts with one adapter, or with none: {@code base}. */
  public static List<GoldenAnswer> of(String adapter) throws IOException {
    JsonNode prompts = JSON.readTree(FOLDER.resolve("prompts.json").toFile());
    JsonNode answers = JSON.readTree(FOLDER.resolve(adapter + ".json").toFile());
    List<GoldenAnswer> all = new ArrayList<>();
    for (JsonNode answer : answers.get("cases")) {
      for (JsonNode prompt : prompts) {
        if (prompt.get("name").equals(answer.get("prompt"))) {
          all.add(of(adapter, prompt, answer, ints(answers.get("probeIds"))));
        }
      }
    }
    return all;
  }

  /** Of the adapter's weights that the answers were made with. */
  public static String adapterSha256(String adapter) throws IOException {
    return JSON.readTree(FOLDER.resolve(adapter + ".json").toFile()).get("adapterSha256").asText();
  }

  private static GoldenAnswer of(String adapter, JsonNode prompt, JsonNode answer, int[] probeIds) {
    List<Map<String, Object>> messages = new ArrayList<>();
    for (JsonNode message : prompt.get("messages")) {
      messages.add(
          Map.of("role", message.get("role").asText(), "content", message.get("content").asText()));
    }
    return new GoldenAnswer(
        adapter,
        prompt.get("name").asText(),
        messages,
        ints(prompt.get("ids")),
        answer.get("text").asText(),
        ints(answer.get("outputIds")),
        doubles(answer.get("topTwoGap")),
        ints(answer.get("top20Ids")),
        doubles(answer.get("top20Logits")),
        probeIds,
        doubles(answer.get("probeLogits")));
  }

  private static int[] ints(JsonNode array) {
    return JSON.convertValue(array, int[].class);
  }

  private static double[] doubles(JsonNode array) {
    return JSON.convertValue(array, double[].class);
  }
}
