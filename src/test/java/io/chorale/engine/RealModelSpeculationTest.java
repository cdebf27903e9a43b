package io.chorale.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.RealModel;
import io.chorale.RealModelFile;
import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRef;
import io.chorale.engine.Answers.Question;
import io.chorale.it.TestOps;
import io.chorale.kernel.Ops;
import io.chorale.lora.LoraWeights;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.CausalLm;
import io.chorale.model.Quantization;
import io.chorale.model.StepLimits;
import io.chorale.model.WeightLoader;
import io.chorale.sched.SamplingParams;
import io.chorale.sched.SchedulerOptions;
import io.chorale.sched.draft.DraftOptions;
import io.chorale.sched.draft.Drafting;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Speculation changes no token of the real model, whatever the adapters, and saves it steps. */
@RealModel
class RealModelSpeculationTest {
  private static final int BLOCK = 16;
  private static final List<String> ADAPTERS = List.of("legal", "code");

  @Test
  void answersOfBaseAndAdaptersAreTheSameTokensWithAndWithoutDrafts() throws Exception {
    Ops ops = TestOps.served();
    assertTrue(ops.name().startsWith("native"), "no native kernels: " + ops.name());
    List<LoraWeights> weights = new ArrayList<>();
    CausalLm model;
    try (BaseModelFiles files = BaseModelFiles.open(RealModelFile.path(), Quantization.NONE)) {
      for (String name : ADAPTERS) {
        weights.add(
            new AdapterLoader(files.spec(), files.fingerprint(), AdapterLoader.DEFAULT_MAX_BYTES)
                .load(new AdapterRef(name, 1), Path.of("adapters", name))
                .weights());
      }
      model = new WeightLoader(files, ops).load(new StepLimits(256, 32), layer -> {});
    }
    List<Question> questions = questions();
    // Given
    Run plain = new Run(model, weights, DraftOptions.OFF, 800, questions);
    // When
    Run drafted = new Run(model, weights, new DraftOptions(8, 2), 800, questions);
    Run preempted = new Run(model, weights, new DraftOptions(8, 2), 30, questions);
    // Then
    assertEquals(plain.answers, drafted.answers);
    assertEquals(plain.answers, preempted.answers);
    assertTrue(preempted.stats.preemptions() > 0, preempted.stats.toString());
    assertTrue(drafted.stats.acceptedDraftTokens() > 50, drafted.stats.toString());
    assertTrue(drafted.stats.steps() < plain.stats.steps(), drafted.stats.toString());
  }

  /** Each short golden prompt greedy, sampled with a seed, and repeated; base and adapters. */
  private static List<Question> questions() throws Exception {
    List<Question> out = new ArrayList<>();
    for (String adapter : List.of("base", "legal", "code")) {
      int key = ADAPTERS.indexOf(adapter);
      for (GoldenAnswer golden : GoldenAnswer.of(adapter)) {
        int[] prompt = golden.promptIds();
        if (prompt.length < 150) {
          out.add(new Question(prompt, key, SamplingParams.greedy(96, Set.of(2))));
          out.add(new Question(prompt, key, sampled(out.size())));
          out.add(new Question(twiceAndAHalf(prompt), key, SamplingParams.greedy(64, Set.of())));
        }
      }
    }
    return out;
  }

  /** A prompt that a model goes on to repeat. */
  private static int[] twiceAndAHalf(int[] prompt) {
    int[] out = new int[prompt.length * 5 / 2];
    Arrays.setAll(out, i -> prompt[i % prompt.length]);
    return out;
  }

  private static SamplingParams sampled(int seed) {
    return new SamplingParams(
        0.7, 0.9, 50, 0.02, 1.05, 0.1, 0.1, Map.of(30, -1f), seed, Set.of(2), 64, 3, 2, false);
  }

  /** One engine's answers to all questions at once. */
  private static final class Run {
    final List<String> answers = new ArrayList<>();
    final EngineStats stats;

    Run(
        CausalLm model,
        List<LoraWeights> weights,
        DraftOptions drafting,
        int blocks,
        List<Question> questions)
        throws Exception {
      SchedulerOptions options =
          new SchedulerOptions(256, 16, BLOCK, blocks, ADAPTERS.size(), 512, 48, true);
      EngineLoop engine =
          new EngineLoop(
              options,
              new ModelRunner(model, weights::get, blocks, BLOCK, ADAPTERS.size(), 0),
              new EngineLoop.Options(64, 1000, drafting, 0));
      try (engine) {
        for (RecordingSink sink : Answers.of(engine, questions, Drafting.ALWAYS)) {
          answers.add(Answers.seen(sink));
        }
      }
      stats = engine.stats();
    }
  }
}
