package io.chorale.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.chorale.sched.SamplingParams;
import io.chorale.sched.Sequence;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SamplerTest {
  private static final int VOCAB = 500;

  private static SamplingParams params(
      double temperature, double topP, int topK, double minP, Map<Integer, Float> bias) {
    return new SamplingParams(
        temperature, topP, topK, minP, 1, 0, 0, bias, 0, Set.of(), 10, 0, -1, false);
  }

  private static Sequence sequence(SamplingParams params, int... prompt) {
    return new Sequence(1, prompt, -1, params);
  }

  private static int pick(
      Sampler sampler, Sequence sequence, float[] logits, int offset, RandomGenerator random) {
    return sampler.sample(sequence, sequence.length(), logits, offset, random);
  }

  private static float[] logits(int seed) {
    float[] out = new float[VOCAB + 3];
    Random random = new Random(seed);
    for (int i = 0; i < out.length; i++) {
      out[i] = (float) (random.nextGaussian() * 3);
    }
    return out;
  }

  /** The definition, by sorting: what top-k, then top-p of the rest, keeps. */
  private static Set<Integer> naive(float[] logits, int offset, SamplingParams params) {
    Integer[] order = IntStream.range(0, VOCAB).boxed().toArray(Integer[]::new);
    java.util.Arrays.sort(order, (x, y) -> Float.compare(logits[offset + y], logits[offset + x]));
    double max = logits[offset + order[0]] / params.temperature();
    int count = 0;
    double total = 0;
    double[] mass = new double[VOCAB];
    for (int i = 0; i < VOCAB; i++) {
      mass[i] = Math.exp(logits[offset + order[i]] / params.temperature() - max);
      boolean kept = mass[i] >= params.minP() && (params.topK() == 0 || i < params.topK());
      if (kept) {
        count++;
        total += mass[i];
      }
    }
    Set<Integer> out = new TreeSet<>();
    double reached = 0;
    for (int i = 0; i < count && (i == 0 || reached < params.topP() * total); i++) {
      out.add(order[i]);
      reached += mass[i];
    }
    return out;
  }

  @Test
  void onlyTokensOfTheNucleusAreDrawnAndAllOfThem() {
    int offset = 3;
    for (int seed = 0; seed < 12; seed++) {
      // Given
      float[] logits = logits(seed);
      SamplingParams params =
          switch (seed % 4) {
            case 0 -> params(1, 0.7, 0, 0, Map.of());
            case 1 -> params(0.8, 1, 7, 0, Map.of());
            case 2 -> params(1.3, 0.5, 12, 0, Map.of());
            default -> params(1, 1, 0, 0.2, Map.of());
          };
      Sampler sampler = new Sampler(VOCAB);
      RandomGenerator random = RandomGenerator.of("L64X128MixRandom");
      // When
      Set<Integer> drawn = new TreeSet<>();
      for (int i = 0; i < 6000; i++) {
        drawn.add(pick(sampler, sequence(params, 1), logits, offset, random));
      }
      // Then
      assertEquals(naive(logits, offset, params), drawn, "seed " + seed);
    }
  }

  @Test
  void equalLogitsAtTheBorderKeepExactlyK() {
    float[] flat = new float[VOCAB];
    Set<Integer> drawn = new TreeSet<>();
    Sampler sampler = new Sampler(VOCAB);
    Random random = new Random(1);
    for (int i = 0; i < 2000; i++) {
      drawn.add(pick(sampler, sequence(params(1, 1, 5, 0, Map.of()), 1), flat, 0, random));
    }
    assertEquals(Set.of(0, 1, 2, 3, 4), drawn);
  }

  @Test
  void biasAndPenaltiesChangeTheGreedyChoice() {
    float[] logits = new float[VOCAB];
    logits[7] = 3;
    logits[8] = 2.5f;
    logits[9] = 2.4f;
    Sampler sampler = new Sampler(VOCAB);
    Random random = new Random(1);
    assertEquals(7, pick(sampler, sequence(params(0, 1, 0, 0, Map.of()), 1), logits, 0, random));
    assertEquals(
        9, pick(sampler, sequence(params(0, 1, 0, 0, Map.of(9, 1f)), 1), logits, 0, random));
    SamplingParams repetition =
        new SamplingParams(0, 1, 0, 0, 2, 0, 0, Map.of(), 0, Set.of(), 10, 0, -1, false);
    assertEquals(8, pick(sampler, sequence(repetition, 7), logits, 0, random));
    SamplingParams minimum =
        new SamplingParams(0, 1, 0, 0, 1, 0, 0, Map.of(), 0, Set.of(7), 10, 2, -1, false);
    assertEquals(8, pick(sampler, sequence(minimum, 1), logits, 0, random));
  }

  @Test
  void logprobsSumToOneAndTheTopListIsSorted() {
    float[] logits = logits(4);
    double sum = 0;
    for (int id = 0; id < VOCAB; id++) {
      sum += Math.exp(Sampler.logprobs(logits, 0, VOCAB, id, 0).logprob());
    }
    assertEquals(1, sum, 1e-4);
    TokenLogprobs top = Sampler.logprobs(logits, 0, VOCAB, 0, 20);
    int[] want =
        IntStream.range(0, VOCAB)
            .boxed()
            .sorted((x, y) -> Float.compare(logits[y], logits[x]))
            .limit(20)
            .mapToInt(Integer::intValue)
            .toArray();
    assertArrayEquals(want, top.topIds());
  }

  @Test
  void aRowWithoutAFiniteMaximumIsAnErrorNotAToken() {
    float[] nan = new float[VOCAB];
    java.util.Arrays.fill(nan, Float.NaN);
    assertThrows(
        IllegalStateException.class,
        () ->
            pick(
                new Sampler(VOCAB),
                sequence(params(0, 1, 0, 0, Map.of()), 1),
                nan,
                0,
                new Random(1)));
  }
}
