package io.chorale.train;

import io.chorale.train.config.TrainOptions;
import io.chorale.train.model.TrainableCausalLm;
import io.chorale.train.optim.Optimizer;
import io.chorale.train.save.RunFacts;
import io.chorale.train.save.RunFolder;
import io.chorale.train.watch.TrainListener;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;

/**
 * All that a run needs, opened and checked. Whoever made the parts closes them.
 *
 * @param model with the initial values of its parameters
 * @param retained rows of {@code --retain-data}
 * @param plannedPeakBytes predicted, 0 if not
 */
public record TrainSetup(
    TrainOptions options,
    TrainableCausalLm model,
    Optimizer optimizer,
    TrainRows rows,
    Optional<TrainRows> heldOut,
    Optional<TrainRows> retained,
    Over base,
    RunFolder folder,
    TrainListener listener,
    long plannedPeakBytes) {

  /**
   * The model that is trained over.
   *
   * @param facts for chorale.json
   * @param folder where full fine-tuning takes config and tokenizer from
   * @param layers of the decoder
   * @param canaryPrompt token ids of a fixed text
   * @param endTokenIds any of them ends an answer
   * @param decode ids to text, for sample answers
   */
  public record Over(
      RunFacts.BaseFacts facts,
      Path folder,
      int layers,
      int[] canaryPrompt,
      Set<Integer> endTokenIds,
      Function<int[], String> decode) {}
}
