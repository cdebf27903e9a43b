package io.chorale.train.model;

import io.chorale.train.rounding.MergedRounding;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * The adapter that is trained, in PEFT's terms ({@code LoraConfig}).
 *
 * @param rank r, 1 or more
 * @param alpha the update is scaled by alpha / r, with rsLoRA by alpha / sqrt(r)
 * @param dropout on the input of A, 0 or more and below 1
 * @param targetModules names or ends of names such as {@code q_proj}; or one {@code all-linear}:
 *     every linear layer but the head; or one regular expression over full names, if no module's
 *     name ends with it
 * @param rankPattern ranks of modules whose name ends with the key (a regular expression), as PEFT;
 *     the first that matches wins
 * @param alphaPattern alphas, likewise
 * @param modulesToSave modules trained whole and saved beside the factors, such as {@code lm_head}
 * @param mergeAware how the layers' weights are rounded in training, as the merge will; lora or
 *     rslora without dropout only
 */
public record AdapterSpec(
    TrainMethod method,
    int rank,
    float alpha,
    float dropout,
    List<String> targetModules,
    Map<String, Integer> rankPattern,
    Map<String, Float> alphaPattern,
    List<String> modulesToSave,
    Optional<MergedRounding> mergeAware) {
  public AdapterSpec {
    if (rank < 1) {
      throw new IllegalArgumentException("rank is %d, wanted 1 or more".formatted(rank));
    }
    if (!(alpha > 0) || Float.isInfinite(alpha)) {
      throw new IllegalArgumentException("alpha is %s, wanted more than 0".formatted(alpha));
    }
    if (!(dropout >= 0 && dropout < 1)) {
      throw new IllegalArgumentException("dropout is %s, wanted 0 to below 1".formatted(dropout));
    }
    if (mergeAware.isPresent()) {
      refuseUnroundable(method, dropout);
    }
    targetModules = List.copyOf(targetModules);
    // In the given order: the first pattern that matches wins.
    rankPattern = Collections.unmodifiableMap(new LinkedHashMap<>(rankPattern));
    alphaPattern = Collections.unmodifiableMap(new LinkedHashMap<>(alphaPattern));
    modulesToSave = List.copyOf(modulesToSave);
  }

  /** An adapter that is trained to be served unmerged. */
  public AdapterSpec(
      TrainMethod method,
      int rank,
      float alpha,
      float dropout,
      List<String> targetModules,
      Map<String, Integer> rankPattern,
      Map<String, Float> alphaPattern,
      List<String> modulesToSave) {
    this(
        method,
        rank,
        alpha,
        dropout,
        targetModules,
        rankPattern,
        alphaPattern,
        modulesToSave,
        Optional.empty());
  }

  private static void refuseUnroundable(TrainMethod method, float dropout) {
    if (method != TrainMethod.LORA && method != TrainMethod.RSLORA) {
      throw new IllegalArgumentException(
          "--merge-aware is given with --method %s, wanted lora or rslora: %s"
              .formatted(
                  method.name().toLowerCase(Locale.ROOT),
                  method == TrainMethod.FULL
                      ? "full fine-tuning has nothing to merge"
                      : "DoRA's magnitudes are not rounded in training"));
    }
    if (dropout > 0) {
      throw new IllegalArgumentException(
          "--merge-aware is given with --dropout %s, wanted --dropout 0: a merged weight drops nothing of A's input alone"
              .formatted(dropout));
    }
  }
}
