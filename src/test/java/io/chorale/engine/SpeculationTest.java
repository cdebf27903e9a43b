package io.chorale.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.engine.Answers.Question;
import io.chorale.kernel.NativeLibrary;
import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.kernel.NativeOps;
import io.chorale.sched.FinishReason;
import io.chorale.sched.SamplingParams;
import io.chorale.sched.draft.DraftOptions;
import io.chorale.sched.draft.Drafting;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Speculation changes no token and no log-probability, with the native kernels and a tiny model.
 */
@ParameterizedClass(allowZeroInvocations = true)
@MethodSource("sets")
class SpeculationTest {
  private static final int CONTEXT = 200;
  private final InstructionSet set;

  SpeculationTest(InstructionSet set) {
    this.set = set;
  }

  static List<InstructionSet> sets() {
    return NativeLibrary.supported();
  }

  /** 26 blocks of 4 preempt, 400 do not; prompts longer than 8 are cut in chunks. */
  @ParameterizedTest
  @CsvSource({"400, 1", "400, 2", "60, 3", "60, 4"})
  void answersAreTheSameToTheLastBitWithAndWithoutDrafts(int blocks, int seed) throws Exception {
    // Given
    List<Question> questions = questions(seed);
    List<RecordingSink> plain;
    try (NativeOps ops = new NativeOps(set, 2);
        TinyEngine engine = engine(ops, 400, DraftOptions.OFF)) {
      plain = Answers.of(engine.loop, questions, Drafting.AUTO);
    }
    for (Drafting drafting : List.of(Drafting.ALWAYS, Drafting.AUTO)) {
      try (NativeOps ops = new NativeOps(set, 2);
          TinyEngine engine = engine(ops, blocks, new DraftOptions(6, 2))) {
        // When
        List<RecordingSink> drafted = Answers.of(engine.loop, questions, drafting);
        // Then
        for (int i = 0; i < questions.size(); i++) {
          assertEquals(
              Answers.seen(plain.get(i)),
              Answers.seen(drafted.get(i)),
              drafting + " request " + i + " " + questions.get(i).params());
        }
        engine.alone(new int[] {1}, GenerationRequest.BASE, 1);
        EngineStats stats = engine.loop.stats();
        if (drafting == Drafting.ALWAYS) { // what pays depends on the machine
          assertTrue(stats.acceptedDraftTokens() > 0, stats.toString());
          assertTrue(stats.draftedTokens() > stats.acceptedDraftTokens(), stats.toString());
        }
        assertTrue(blocks > 100 || stats.preemptions() > 0, "nothing was preempted");
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"ALWAYS", "NEVER"})
  void onlyARequestThatMayBeGuessedHasDrafts(Drafting drafting) throws Exception {
    try (NativeOps ops = new NativeOps(set, 1);
        TinyEngine engine = engine(ops, 100, new DraftOptions(4, 2))) {
      // When
      Answers.of(engine.loop, List.of(new Question(loop(3, 40), -1, greedy(80))), drafting);
      engine.alone(new int[] {1}, GenerationRequest.BASE, 1);
      // Then
      assertEquals(drafting == Drafting.NEVER, engine.loop.stats().draftedTokens() == 0);
    }
  }

  private TinyEngine engine(NativeOps ops, int blocks, DraftOptions drafting) {
    return new TinyEngine(
        ops,
        blocks,
        4,
        new TinyEngine.SeededAdapters(),
        new EngineLoop.Options(64, 2000, drafting, 0));
  }

  /** Base and three adapters; every field of the sampling parameters is used by some. */
  private static List<Question> questions(int seed) {
    Random random = new Random(seed);
    List<Question> out = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      int length = 2 + random.nextInt(40);
      int[] prompt = i % 3 == 0 ? TinyEngine.prompt(seed + i, length) : loop(seed + i, length);
      SamplingParams params =
          switch (i % 8) {
            case 0, 1 -> greedy(60);
            case 2 -> greedy(CONTEXT); // ends at the context
            case 3 -> params(0.3, 1, 0, 1, Set.of(), 50, 3);
            case 4 -> params(1, 0.5, 10, 1, Set.of(), 50, -1);
            case 5 -> params(0, 1, 0, 1.02, Set.of(), 50, 0);
            case 6 -> params(0.05, 1, 0, 1, Set.of(3, 90, 91, 92), 70, 2);
            default -> params(0, 1, 0, 1, stops(random), 70, -1);
          };
      out.add(new Question(prompt, i % 4 - 1, params));
    }
    return out;
  }

  private static SamplingParams greedy(int tokens) {
    return SamplingParams.greedy(tokens, Set.of());
  }

  /** With top_k, or with a repetition penalty, also the prompt's log-probabilities. */
  private static SamplingParams params(
      double temperature,
      double topP,
      int topK,
      double repetition,
      Set<Integer> stops,
      int maxTokens,
      int logprobs) {
    boolean penalty = repetition != 1;
    return new SamplingParams(
        temperature,
        topP,
        topK,
        0,
        repetition,
        0,
        penalty ? 0.1 : 0,
        penalty ? Map.of(7, 1.5f) : Map.of(5, -50f),
        9,
        stops,
        maxTokens,
        5,
        logprobs,
        penalty || topK > 0);
  }

  private static Set<Integer> stops(Random random) {
    return Set.of(random.nextInt(128), 128 + random.nextInt(64), 192 + random.nextInt(64));
  }

  /** A prompt that repeats itself. */
  private static int[] loop(int seed, int length) {
    int[] part = TinyEngine.prompt(seed, 7);
    int[] out = new int[length];
    for (int i = 0; i < length; i++) {
      out[i] = part[i % part.length];
    }
    return out;
  }

  /** A stop token that the drafts run into ends the answer where it would have ended anyway. */
  @ParameterizedTest
  @CsvSource({"1", "2", "3"})
  void aStopTokenInTheMiddleOfARepetitionEndsTheAnswerThere(int seed) throws Exception {
    try (NativeOps ops = new NativeOps(set, 1);
        TinyEngine engine = engine(ops, 200, new DraftOptions(6, 2))) {
      // Given: the last new token of an answer that goes round in circles
      Question question = new Question(loop(seed, 30), -1, greedy(120));
      List<Integer> tokens =
          Answers.of(engine.loop, List.of(question), Drafting.NEVER).get(0).tokens;
      int stop = tokens.get(tokens.size() - 1);
      // When
      SamplingParams ends = SamplingParams.greedy(120, Set.of(stop));
      RecordingSink sink =
          Answers.of(engine.loop, List.of(question.with(ends)), Drafting.ALWAYS).get(0);
      // Then
      assertEquals(FinishReason.STOP, sink.await());
      assertEquals(tokens.subList(0, tokens.indexOf(stop)), sink.tokens);
      assertEquals(tokens.indexOf(stop) + 1, sink.usage.completionTokens());
    }
  }
}
