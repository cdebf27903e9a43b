package io.chorale.engine;

import io.chorale.sched.SamplingParams;
import io.chorale.sched.Sequence;
import java.util.Arrays;
import java.util.random.RandomGenerator;

/**
 * Picks the next token from one row of logits. Order of the steps as in vLLM: min_tokens mask,
 * logit_bias, penalties, (greedy ends here) temperature, min_p, top_k, top_p, draw. The vocabulary
 * is never sorted: a histogram over the distance to the best logit finds the border of top-k and
 * top-p exactly, and only the border's bin is sorted.
 *
 * <p>Engine thread; buffers are reused.
 */
final class Sampler {
  private static final int BINS = 1024;
  private static final float BINS_PER_NAT = 32;

  private final float[] work;
  private final int[] kept;
  private final int[] binCount = new int[BINS];
  private final double[] binMass = new double[BINS];
  private final boolean[] seen;
  private final boolean[] generated;
  private final long[] border; // of keepBest, best first when sorted

  Sampler(int vocab) {
    this.work = new float[vocab];
    this.kept = new int[vocab];
    this.seen = new boolean[vocab];
    this.generated = new boolean[vocab];
    this.border = new long[vocab];
  }

  /**
   * @param length tokens of the sequence that stand before the one to pick, drafts included
   * @param logits holds the row at {@code offset}; not changed
   * @return a token id
   * @throws IllegalStateException if the row holds no finite number
   */
  int sample(Sequence sequence, int length, float[] logits, int offset, RandomGenerator random) {
    System.arraycopy(logits, offset, work, 0, work.length);
    SamplingParams params = sequence.params();
    adjust(sequence, length, params);
    int best = argmax();
    if (params.isGreedy()) {
      return best;
    }
    scale((float) (1 / params.temperature()));
    return draw(params, work[best], random);
  }

  private void adjust(Sequence sequence, int length, SamplingParams params) {
    if (length - sequence.promptTokens() < params.minTokens()) {
      params.stopTokenIds().forEach(id -> work[id] = Float.NEGATIVE_INFINITY);
    }
    if (!params.logitBias().isEmpty()) {
      params.logitBias().forEach((id, bias) -> work[id] += bias);
    }
    if (params.repetitionPenalty() != 1
        || params.presencePenalty() != 0
        || params.frequencyPenalty() != 0) {
      penalize(sequence, length, params);
    }
  }

  private void penalize(Sequence sequence, int length, SamplingParams params) {
    Arrays.fill(seen, false);
    Arrays.fill(generated, false);
    for (int position = 0; position < length; position++) {
      int id = sequence.stepToken(position);
      boolean output = position >= sequence.promptTokens();
      if (!seen[id]) {
        seen[id] = true;
        float penalty = (float) params.repetitionPenalty();
        work[id] = work[id] > 0 ? work[id] / penalty : work[id] * penalty;
      }
      if (output && !generated[id]) {
        generated[id] = true;
        work[id] -= (float) params.presencePenalty();
      }
      if (output) {
        work[id] -= (float) params.frequencyPenalty();
      }
    }
  }

  private int argmax() {
    int best = -1;
    for (int id = 0; id < work.length; id++) {
      if (work[id] > (best < 0 ? Float.NEGATIVE_INFINITY : work[best])) {
        best = id;
      }
    }
    if (best < 0 || work[best] == Float.POSITIVE_INFINITY) {
      throw new IllegalStateException("the logits hold no finite maximum (NaN or infinity)");
    }
    return best;
  }

  private void scale(float factor) {
    for (int id = 0; id < work.length; id++) {
      work[id] *= factor;
    }
  }

  private int draw(SamplingParams params, float max, RandomGenerator random) {
    int count = keepMinP(params.minP(), max);
    if (params.topK() > 0 && params.topK() < count) {
      count = keepBest(count, max, params.topK(), Double.POSITIVE_INFINITY);
    }
    if (params.topP() < 1) {
      count = keepBest(count, max, Integer.MAX_VALUE, params.topP() * mass(count, max));
    }
    double left = random.nextDouble() * mass(count, max);
    for (int i = 0; i < count; i++) {
      left -= Math.exp(work[kept[i]] - max);
      if (left < 0) {
        return kept[i];
      }
    }
    return kept[count - 1];
  }

  private int keepMinP(double minP, float max) {
    double floor = minP == 0 ? Double.NEGATIVE_INFINITY : max + Math.log(minP);
    int count = 0;
    for (int id = 0; id < work.length; id++) {
      if (work[id] >= floor && work[id] != Float.NEGATIVE_INFINITY) {
        kept[count++] = id;
      }
    }
    return count;
  }

  private double mass(int count, float max) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += Math.exp(work[kept[i]] - max);
    }
    return sum;
  }

  /**
   * Keeps the likeliest tokens until {@code most} are kept or their mass reaches {@code enough};
   * equal logits go by id.
   */
  private int keepBest(int count, float max, int most, double enough) {
    Arrays.fill(binCount, 0);
    Arrays.fill(binMass, 0);
    for (int i = 0; i < count; i++) {
      int bin = bin(work[kept[i]], max);
      binCount[bin]++;
      binMass[bin] += Math.exp(work[kept[i]] - max);
    }
    int last = 0;
    int before = 0;
    double massBefore = 0;
    while (last < BINS - 1
        && before + binCount[last] < most
        && massBefore + binMass[last] < enough) {
      before += binCount[last];
      massBefore += binMass[last];
      last++;
    }
    int inBorder = 0;
    int out = 0;
    for (int i = 0; i < count; i++) {
      int bin = bin(work[kept[i]], max);
      if (bin == last) {
        border[inBorder++] = byLogit(kept[i]);
      } else if (bin < last) {
        kept[out++] = kept[i];
      }
    }
    Arrays.sort(border, 0, inBorder);
    double reached = massBefore;
    for (int i = 0; i < inBorder && out < most && (out == 0 || reached < enough); i++) {
      int id = (int) border[i];
      reached += Math.exp(work[id] - max);
      kept[out++] = id;
    }
    return out;
  }

  /** A number that sorts by falling logit, then by id, which is its low half. */
  private long byLogit(int id) {
    int bits = Float.floatToIntBits(work[id]);
    int rising = bits ^ (bits >> 31 & Integer.MAX_VALUE);
    return (long) ~rising << 32 | id;
  }

  private static int bin(float logit, float max) {
    return (int) Math.min(BINS - 1, (max - logit) * BINS_PER_NAT);
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
      sum += Math.exp(logits[offset + id] - max);
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
