package io.chorale.engine;

import io.chorale.sched.SamplingParams;
import io.chorale.sched.Sequence;
import java.util.Arrays;
import java.util.random.RandomGenerator;

/**
 * Picks the next token from one row of logits. Order of the steps as in vLLM: min_tokens mask,
 * logit_bias, penalties, (greedy ends here) temperature, min_p, top_k, top_p, draw. The row is
 * copied only if a token's own logit changes.
 *
 * <p>The vocabulary is never sorted and each token's exponential is taken once: a histogram over
 * the distance to the best logit has the number and the mass of the tokens in each bin, which is
 * enough to find the bin where top-k and top-p end, and the bin that the draw falls into; only the
 * tokens of those are looked at one by one. Masses are exact to 1e-11. A token 40 nats or more
 * below the best is left out: together they hold less than a draw of 53 bits can tell from nothing.
 *
 * <p>Engine thread; buffers are reused.
 */
final class Sampler {
  private static final int BINS_PER_NAT = 32;
  private static final int BINS = 40 * BINS_PER_NAT;

  private final int vocab;
  private final float[] work;
  private final int[] seen; // stamp of the row in which the token was met
  private final int[] generated;
  private int stamp;
  private final Nucleus nucleus;

  Sampler(int vocab) {
    this.vocab = vocab;
    this.work = new float[vocab];
    this.seen = new int[vocab];
    this.generated = new int[vocab];
    this.nucleus = new Nucleus(vocab);
  }

  /**
   * @param length tokens of the sequence that stand before the one to pick, drafts included
   * @param logits holds the row at {@code offset}; not changed
   * @return a token id
   * @throws IllegalStateException if the row holds no finite number
   */
  int sample(Sequence sequence, int length, float[] logits, int offset, RandomGenerator random) {
    SamplingParams params = sequence.params();
    float[] row = logits;
    int first = offset;
    if (changesLogits(sequence, length, params)) {
      System.arraycopy(logits, offset, work, 0, vocab);
      adjust(sequence, length, params);
      row = work;
      first = 0;
    }
    int best = argmax(row, first);
    return params.isGreedy() ? best : draw(params, row, first, row[first + best], random);
  }

  private static boolean changesLogits(Sequence sequence, int length, SamplingParams params) {
    return masksStops(sequence, length, params)
        || !params.logitBias().isEmpty()
        || penalizes(params);
  }

  private static boolean masksStops(Sequence sequence, int length, SamplingParams params) {
    return length - sequence.promptTokens() < params.minTokens();
  }

  private static boolean penalizes(SamplingParams params) {
    return params.repetitionPenalty() != 1
        || params.presencePenalty() != 0
        || params.frequencyPenalty() != 0;
  }

  private void adjust(Sequence sequence, int length, SamplingParams params) {
    if (masksStops(sequence, length, params)) {
      params.stopTokenIds().forEach(id -> work[id] = Float.NEGATIVE_INFINITY);
    }
    if (!params.logitBias().isEmpty()) {
      params.logitBias().forEach((id, bias) -> work[id] += bias);
    }
    if (penalizes(params)) {
      penalize(sequence, length, params);
    }
  }

  private void penalize(Sequence sequence, int length, SamplingParams params) {
    stamp++;
    float repetition = (float) params.repetitionPenalty();
    for (int position = 0; position < length; position++) {
      int id = sequence.stepToken(position);
      if (seen[id] != stamp) {
        seen[id] = stamp;
        work[id] = work[id] > 0 ? work[id] / repetition : work[id] * repetition;
      }
      if (position >= sequence.promptTokens()) {
        if (generated[id] != stamp) {
          generated[id] = stamp;
          work[id] -= (float) params.presencePenalty();
        }
        work[id] -= (float) params.frequencyPenalty();
      }
    }
  }

  private int argmax(float[] row, int offset) {
    float max = Float.NEGATIVE_INFINITY;
    int best = -1;
    for (int id = 0; id < vocab; id++) {
      if (row[offset + id] > max) {
        max = row[offset + id];
        best = id;
      }
    }
    if (best < 0 || max == Float.POSITIVE_INFINITY) {
      throw new IllegalStateException("the logits hold no finite maximum (NaN or infinity)");
    }
    return best;
  }

  private int draw(
      SamplingParams params, float[] row, int offset, float max, RandomGenerator random) {
    double binsPerUnit = BINS_PER_NAT / params.temperature();
    double farthest = params.minP() == 0 ? BINS : -Math.log(params.minP()) * BINS_PER_NAT;
    nucleus.begin(row, offset, max, binsPerUnit, Math.min(BINS, farthest));
    if (params.topK() > 0) {
      nucleus.narrow(params.topK());
    }
    nucleus.weigh();
    if (params.topK() > 0) {
      nucleus.keep(params.topK(), Double.POSITIVE_INFINITY);
    }
    if (params.topP() < 1) {
      nucleus.keep(Integer.MAX_VALUE, params.topP() * nucleus.mass());
    }
    return nucleus.tokenAt(random.nextDouble() * nucleus.mass());
  }

  /** The tokens that may be drawn, by bins of equal distance to the best logit. */
  private static final class Nucleus {
    private static final double[] MASS_OF_BIN = new double[BINS + 1];

    static {
      for (int bin = 0; bin <= BINS; bin++) {
        MASS_OF_BIN[bin] = Math.exp(-(bin + 0.5) / BINS_PER_NAT);
      }
    }

    private final int vocab;
    private final int[] counts = new int[BINS + 1];
    private final double[] masses = new double[BINS + 1];
    private float[] row;
    private int first;
    private float max;
    private double binsPerUnit;
    private double farthest;
    private int end; // bins from here on are out
    private int listedBin; // -1: none; its kept tokens are in listed, likeliest first
    private long[] listed = new long[256];

    Nucleus(int vocab) {
      this.vocab = vocab;
    }

    /** A token's weight relative to the best one's; {@code distance} is in bins. */
    static double weight(double distance, int bin) {
      double x = (distance - bin - 0.5) / BINS_PER_NAT; // at most 1/64
      return MASS_OF_BIN[bin] * (1 - x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4))));
    }

    private double distance(int id) {
      return (max - row[first + id]) * binsPerUnit;
    }

    /**
     * @param perUnit bins in one unit of the logits
     * @param most bins between the best token and the last that may be drawn
     */
    void begin(float[] logits, int offset, float best, double perUnit, double most) {
      row = logits;
      first = offset;
      max = best;
      binsPerUnit = perUnit;
      farthest = most;
      listedBin = -1;
    }

    /** Draws the border behind the bin that has the {@code most}-th token, so few are weighed. */
    void narrow(int most) {
      Arrays.fill(counts, 0);
      for (int id = 0; id < vocab; id++) {
        double distance = distance(id);
        if (distance <= farthest) { // not NaN
          counts[(int) distance]++;
        }
      }
      int bin = 0;
      for (int kept = counts[0]; kept < most && bin < BINS; kept += counts[bin]) {
        bin++;
      }
      farthest = Math.min(farthest, bin + 1);
    }

    /** Numbers and masses of all bins. */
    void weigh() {
      end = BINS + 1;
      Arrays.fill(counts, 0);
      Arrays.fill(masses, 0);
      for (int id = 0; id < vocab; id++) {
        double distance = distance(id);
        if (distance <= farthest) { // not NaN
          int bin = (int) distance;
          counts[bin]++;
          masses[bin] += weight(distance, bin);
        }
      }
    }

    double mass() {
      double sum = 0;
      for (int bin = 0; bin < end; bin++) {
        sum += masses[bin];
      }
      return sum;
    }

    /**
     * Keeps the likeliest tokens until {@code most} are kept or their mass reaches {@code enough},
     * at least one; equal logits go by id.
     */
    void keep(int most, double enough) {
      int kept = 0;
      double reached = 0;
      int bin = 0;
      while (bin < end && kept + counts[bin] < most && reached + masses[bin] < enough) {
        kept += counts[bin];
        reached += masses[bin];
        bin++;
      }
      if (bin >= end) {
        return;
      }
      list(bin);
      double ofBin = 0;
      int count = 0;
      while (count < counts[bin]
          && kept + count < most
          && (kept + count == 0 || reached + ofBin < enough)) {
        ofBin += weight(distance((int) listed[count]), bin);
        count++;
      }
      counts[bin] = count;
      masses[bin] = ofBin;
      end = bin + 1;
    }

    /** Lists a bin's tokens, likeliest first, unless they are listed already. */
    private void list(int bin) {
      if (listedBin == bin) {
        return;
      }
      if (listed.length < counts[bin]) {
        listed = new long[Math.max(counts[bin], 2 * listed.length)];
      }
      int count = 0;
      for (int id = 0; id < vocab && count < counts[bin]; id++) {
        double distance = distance(id);
        if (distance <= farthest && (int) distance == bin) {
          // A distance is not negative, so its bits have its order; ids decide between equals.
          listed[count++] = (long) Float.floatToRawIntBits(max - row[first + id]) << 32 | id;
        }
      }
      Arrays.sort(listed, 0, count);
      listedBin = bin;
    }

    /** The token that covers this much of the mass, counted bin by bin. */
    int tokenAt(double target) {
      double left = target;
      int bin = 0;
      int last = 0; // bin 0 holds the best token
      while (bin < end - 1 && left >= masses[bin]) {
        left -= masses[bin];
        bin++;
        last = counts[bin] > 0 ? bin : last;
      }
      return tokenOf(last, left);
    }

    private int tokenOf(int bin, double target) {
      double left = target;
      int token = -1;
      if (bin == listedBin) {
        for (int i = 0; i < counts[bin] && left >= 0; i++) {
          token = (int) listed[i];
          left -= weight(distance(token), bin);
        }
        return token;
      }
      for (int id = 0; id < vocab && left >= 0; id++) {
        double distance = distance(id);
        if (distance <= farthest && (int) distance == bin) {
          token = id;
          left -= weight(distance, bin);
        }
      }
      return token;
    }
  }

  /**
   * Log-probabilities of one row, before temperature and filters.
   *
   * @param token whose own log-probability is wanted
   * @param top how many of the likeliest to list, best first
   */
  static TokenLogprobs logprobs(float[] logits, int offset, int vocab, int token, int top) {
    float max = Float.NEGATIVE_INFINITY;
    for (int id = 0; id < vocab; id++) {
      max = Math.max(max, logits[offset + id]);
    }
    double sum = 0;
    for (int id = 0; id < vocab; id++) {
      double distance = (double) (max - logits[offset + id]) * BINS_PER_NAT;
      sum += distance <= BINS ? Nucleus.weight(distance, (int) distance) : 0;
    }
    double logSum = max + Math.log(sum);
    int[] ids = new int[top];
    float[] values = new float[top];
    int filled = 0;
    for (int id = 0; id < vocab; id++) {
      float logit = logits[offset + id];
      if (filled == top && (top == 0 || logit <= values[top - 1])) {
        continue;
      }
      int at = Math.min(filled, top - 1);
      while (at > 0 && values[at - 1] < logit) {
        values[at] = values[at - 1];
        ids[at] = ids[at - 1];
        at--;
      }
      values[at] = logit;
      ids[at] = id;
      filled = Math.min(filled + 1, top);
    }
    for (int i = 0; i < top; i++) {
      values[i] = (float) (values[i] - logSum);
    }
    return new TokenLogprobs(token, (float) (logits[offset + token] - logSum), ids, values);
  }
}
