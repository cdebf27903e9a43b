package io.chorale.train.save;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.chorale.train.data.SftExample;
import io.chorale.train.model.PackedBatch;
import io.chorale.train.model.TrainableCausalLm;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * How likely the trained model finds one fixed text, token by token, so that a server can be
 * checked against it before a name switches. The text is none of the data's.
 *
 * @param ids [n], the text
 * @param logprobs [n - 1], nats, of {@code ids[i + 1]} after {@code ids[0..i]} in the trainer
 * @param baseLogprobs [n - 1], the same before training, which tell an adapter that acts from one
 *     that does not; empty if the run started from another adapter
 */
public record Canary(
    @JsonProperty("ids") List<Integer> ids,
    @JsonProperty("logprobs") List<Float> logprobs,
    @JsonProperty("base_logprobs") List<Float> baseLogprobs) {

  /**
   * @param before {@link #score} of the same text before training; empty if that was not the base
   */
  public static Canary of(TrainableCausalLm model, int[] text, List<Float> before) {
    return new Canary(IntStream.of(text).boxed().toList(), score(model, text), before);
  }

  /**
   * Log-probabilities of a text's tokens from the second on; one forward pass each. A merge-aware
   * adapter is scored as a server has it, unmerged.
   */
  public static List<Float> score(TrainableCausalLm model, int[] text) {
    model.asMerged(false);
    try {
      return logprobs(model, text);
    } finally {
      model.asMerged(true);
    }
  }

  private static List<Float> logprobs(TrainableCausalLm model, int[] text) {
    return IntStream.range(1, text.length)
        .mapToObj(
            next -> {
              int[] targets = new int[next];
              Arrays.fill(targets, SftExample.IGNORE_INDEX);
              targets[next - 1] = text[next];
              int[] ids = Arrays.copyOf(text, next);
              return (float)
                  -model.loss(new PackedBatch(ids, targets, new int[] {0, next}, new int[] {0}));
            })
        .toList();
  }
}
