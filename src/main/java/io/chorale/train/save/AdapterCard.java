package io.chorale.train.save;

import java.util.Locale;
import java.util.stream.Collectors;

/** The README of a result, a model card as the Hugging Face hub reads it. */
final class AdapterCard {
  private AdapterCard() {}

  static String text(RunFacts facts) {
    boolean full = facts.method().equals("full");
    return """
        ---
        base_model: %s
        library_name: %s
        pipeline_tag: text-generation
        tags: [chorale, %s]
        ---

        # %s

        %s of %s (%s), trained by Chorale.

        %s
        ```sh
        %s
        ```

        Every flag of the run is in `chorale-config.yaml` (`./chorale train --config` takes it), hashes and
        metrics are in `chorale.json`.
        """
        .formatted(
            facts.base().name(),
            full ? "transformers" : "peft",
            facts.method(),
            facts.name(),
            full ? "Full fine-tuning" : facts.method().toUpperCase(Locale.ROOT) + " adapter",
            facts.base().name(),
            facts.base().quantization(),
            table(facts),
            full
                ? "./chorale serve --model " + facts.name()
                : "./chorale serve --adapter-root ..   # then ask for model \""
                    + facts.name()
                    + "\"");
  }

  private static String table(RunFacts facts) {
    RunFacts.Data data = facts.data();
    RunFacts.Result result = facts.result();
    return """
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
        """
        .formatted(
            facts.base().fingerprint(),
            data.sha256().keySet().stream()
                .map(name -> "`" + name + "`")
                .collect(Collectors.joining(", ")),
            data.rows() - data.dropped(),
            data.rows(),
            data.truncated(),
            data.evalRows(),
            data.tokens(),
            data.trainedTokens(),
            result.steps(),
            result.step(),
            result.trainLoss(),
            result.evalLoss() == null
                ? "none"
                : "%.4f, before training %.4f"
                    .formatted(result.evalLoss(), result.evalLossBefore()),
            result.trainableParameters(),
            result.allParameters());
  }
}
