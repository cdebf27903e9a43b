package io.chorale.train.save;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.chorale.train.model.TrainableCausalLm;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * What the trained model says to one fixed prompt, so that a server can be checked against it
 * before a name switches: the largest logits after the prompt's last token. The prompt is none of
 * the data's.
 *
 * @param ids the prompt
 * @param topIds tokens with the largest logits, largest first
 * @param logits their logits in the trainer, float32 arithmetic apart from --compute
 * @param untrained the same tokens' logits before training, which tell an adapter that acts from
 *     one that does not; empty if it started from another adapter
 */
public record Canary(
    @JsonProperty("ids") List<Integer> ids,
    @JsonProperty("top_ids") List<Integer> topIds,
    @JsonProperty("logits") List<Float> logits,
    @JsonProperty("untrained_logits") List<Float> untrained) {
  private static final int TOP = 16;

  /**
   * @param before logits of the same prompt before training, [vocab]; empty if they are not the
   *     base's
   */
  public static Canary of(TrainableCausalLm model, int[] prompt, float[] before) {
    float[] after = model.logits(prompt);
    List<Integer> top =
        IntStream.range(0, after.length)
            .boxed()
            .sorted(Comparator.comparingDouble(i -> -after[i]))
            .limit(TOP)
            .toList();
    return new Canary(
        IntStream.of(prompt).boxed().toList(),
        top,
        top.stream().map(i -> after[i]).toList(),
        before.length == 0 ? List.of() : top.stream().map(i -> before[i]).toList());
  }
}
