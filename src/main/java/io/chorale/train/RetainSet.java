package io.chorale.train;

import io.chorale.train.config.TrainOptions;
import io.chorale.train.data.SftExample;
import io.chorale.train.model.PackedBatch;
import io.chorale.train.model.TrainableCausalLm;
import java.util.Arrays;
import java.util.List;

/**
 * Texts on which a run holds the adapted model to its base: each step adds {@code weight * mean
 * KL(base || adapted)} over all tokens of some of them to its loss. What the texts say is not
 * learned; every token of theirs counts, prompts too. Which rows come in a step follows from seed
 * and step. One thread.
 */
final class RetainSet {
  /** Parts its order from that of the training rows. */
  private static final long SEED = 0x5851F42D4C957F2DL;

  private final TrainableCausalLm model;
  private final TrainRows rows;
  private final Batches batches;
  private final double weight;

  /**
   * @throws IllegalArgumentException if nothing is left of the base, see {@link
   *     TrainableCausalLm#keepsBase}
   */
  RetainSet(TrainableCausalLm model, TrainRows rows, TrainOptions options) {
    if (!model.keepsBase()) {
      throw new IllegalArgumentException(
          "--retain-data is given with modules that are trained whole, wanted factors only");
    }
    TrainOptions.Retain how = options.retain().orElseThrow();
    this.model = model;
    this.rows = rows;
    this.weight = how.weight();
    this.batches =
        new Batches(
            rows.examples().stream().map(RetainSet::whole).toList(),
            new Batches.Shape(
                how.batchSize(),
                1,
                false,
                options.data().maxSeqLength(),
                options.loop().seed() ^ SEED));
  }

  private static SftExample whole(SftExample example) {
    return new SftExample(example.ids(), example.ids(), example.fullTokens(), -1);
  }

  private PackedBatch batch(int step) {
    int each = batches.steps(0);
    return batches.step(step / each, step % each).get(0);
  }

  /**
   * Adds its part to the gradients.
   *
   * @param step from 0
   * @return mean divergence, nats a token
   */
  double addGradients(int step, long dropoutSeed) {
    PackedBatch batch = batch(step);
    int tokens = batch.trainedTokens();
    return model.divergenceAndGradients(batch, weight / tokens, dropoutSeed) / tokens;
  }

  /** Tokens of a step's rows. */
  int tokens(int step) {
    return batch(step).rows();
  }

  /** {@code file:line} of a step's rows. */
  List<String> sources(int step) {
    return Arrays.stream(batch(step).sources()).mapToObj(row -> rows.sources().get(row)).toList();
  }
}
