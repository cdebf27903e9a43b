package io.chorale.train.model;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

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
 */
public record AdapterSpec(
    TrainMethod method,
    int rank,
    float alpha,
    float dropout,
    List<String> targetModules,
    Map<String, Integer> rankPattern,
    Map<String, Float> alphaPattern,
    List<String> modulesToSave) {
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
    targetModules = List.copyOf(targetModules);
    // In the given order: the first pattern that matches wins.
    rankPattern = Collections.unmodifiableMap(new LinkedHashMap<>(rankPattern));
    alphaPattern = Collections.unmodifiableMap(new LinkedHashMap<>(alphaPattern));
    modulesToSave = List.copyOf(modulesToSave);
  }
}
