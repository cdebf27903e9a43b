package io.chorale.adapter.push;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * What the trainer saw its adapter say: log-probabilities (nats) of a text's tokens, recorded under
 * {@code canary} in {@value #FILE} beside the adapter. A server that loads the adapter scores the
 * same text; if it is further off than its arithmetic explains, scale, base or rows are not those
 * that were trained.
 *
 * @param ids [n], the text, two tokens or more
 * @param logprobs [n - 1], of {@code ids[i + 1]} after {@code ids[0..i]} with the adapter
 * @param baseLogprobs [n - 1], the same without it; empty if not recorded
 */
public record Canary(int[] ids, float[] logprobs, float[] baseLogprobs) {
  public static final String FILE = "chorale.json";

  /** Mean distance, in nats, that int8 activations and half-precision caches explain. */
  public static final double TOLERANCE = 0.15;

  public Canary {
    if (ids.length < 2
        || logprobs.length != ids.length - 1
        || (baseLogprobs.length != 0 && baseLogprobs.length != logprobs.length)) {
      throw new IllegalArgumentException(
          "canary has %d ids, %d logprobs and %d base_logprobs; wanted one logprob less than ids, base_logprobs as many or none"
              .formatted(ids.length, logprobs.length, baseLogprobs.length));
    }
  }

  /**
   * The canary of an adapter folder; empty if it has none, as PEFT's own folders.
   *
   * @throws IllegalArgumentException if there is one and it makes no sense
   */
  public static Optional<Canary> read(Path folder) throws IOException {
    Path file = folder.resolve(FILE);
    if (!Files.isRegularFile(file)) {
      return Optional.empty();
    }
    JsonNode canary = new ObjectMapper().readTree(Files.readAllBytes(file)).path("canary");
    if (!canary.isObject()) {
      return Optional.empty();
    }
    JsonNode ids = canary.path("ids");
    int[] tokens = new int[ids.size()];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = ids.get(i).asInt(-1);
      if (tokens[i] < 0) {
        throw new IllegalArgumentException("canary.ids[%d] is %s".formatted(i, ids.get(i)));
      }
    }
    return Optional.of(
        new Canary(
            tokens,
            numbers(canary.path("logprobs"), "logprobs"),
            numbers(canary.path("base_logprobs"), "base_logprobs")));
  }

  private static float[] numbers(JsonNode list, String name) {
    float[] numbers = new float[list.size()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = list.get(i).floatValue();
      if (!list.get(i).isNumber() || !Float.isFinite(numbers[i])) {
        throw new IllegalArgumentException(
            "canary.%s[%d] is %s, wanted a number".formatted(name, i, list.get(i)));
      }
    }
    return numbers;
  }

  /**
   * Why the server's numbers are not the trainer's; empty if they are.
   *
   * @param served [n - 1], what the server computes for the same tokens
   */
  public Optional<String> disagreement(float[] served) {
    double off = distance(served, logprobs);
    if (!(off <= TOLERANCE)) { // NaN disagrees
      return Optional.of(
          "the trainer's log-probabilities are %.3f nats off in the mean over %d tokens, at most %.2f is arithmetic%s"
              .formatted(off, logprobs.length, TOLERANCE, likelyBase(served)));
    }
    if (baseLogprobs.length > 0) {
      double fromBase = distance(logprobs, baseLogprobs);
      if (fromBase > 2 * TOLERANCE && distance(served, baseLogprobs) < off) {
        return Optional.of(
            "the answers are the base model's, as if the adapter had no effect; the trainer saw %.3f nats of effect"
                .formatted(fromBase));
      }
    }
    return Optional.empty();
  }

  private String likelyBase(float[] served) {
    return baseLogprobs.length > 0 && distance(served, baseLogprobs) < TOLERANCE
        ? "; they are the base model's, as if the adapter had no effect"
        : "; was it trained on another base, or with another scale?";
  }

  private static double distance(float[] a, float[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += Math.abs((double) a[i] - b[i]);
    }
    return sum / a.length;
  }
}
