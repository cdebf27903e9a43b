package io.chorale.train.save;

import java.util.Locale;
import java.util.stream.Collectors;

/** The README of a result, a model card as the Hugging Face hub reads it. */
final class AdapterCard {
  private AdapterCard() {}

  static String text(RunFacts facts) {
    boolean full = facts.method().equals("full");
    RunFacts.Result result = facts.result();
    return """
        ---
        base_model: %s
        library_name: %s
        pipeline_tag: text-generation
        tags: [chorale, %s]
        ---

        # %s

        %s of %s (%s), trained by Chorale.

        | | |
        |---|---|
        | base fingerprint | `%s` |
        | data | %s |
        | rows | %d of %d used, %d cut, %d held out |
        | tokens | %d, trained on %d |
        | steps | %d, values of step %d kept |
        | training loss | %.4f |
        | held-out loss | %s |
        | trained parameters | %d of %d |

        ```sh
        %s
        ```

        Every flag of the run is in `chorale-config.yaml` (`./chorale train --config` takes it), hashes and metrics are in
        `chorale.json`.
        """
        .formatted(
            facts.base().name(),
            full ? "transformers" : "peft",
            facts.method(),
            facts.name(),
            full ? "Full fine-tuning" : facts.method().toUpperCase(Locale.ROOT) + " adapter",
            facts.base().name(),
            facts.base().quantization(),
            facts.base().fingerprint(),
            facts.data().sha256().keySet().stream()
                .map(name -> "`" + name + "`")
                .collect(Collectors.joining(", ")),
            facts.data().rows() - facts.data().dropped(),
            facts.data().rows(),
            facts.data().truncated(),
            facts.data().evalRows(),
            facts.data().tokens(),
            facts.data().trainedTokens(),
            result.steps(),
            result.step(),
            result.trainLoss(),
            result.evalLoss() == null
                ? "none"
                : "%.4f, before training %.4f"
                    .formatted(result.evalLoss(), result.evalLossBefore()),
            result.trainableParameters(),
            result.allParameters(),
            full
                ? "./chorale serve --model " + facts.name()
                : "./chorale serve --adapter-root ..   # then ask for model \""
                    + facts.name()
                    + "\"");
  }
}
