package io.chorale.eval.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.eval.EvalListener;
import io.chorale.eval.run.EvalEngine.Answer;
import io.chorale.eval.run.EvalEngine.Prompt;
import io.chorale.eval.run.EvalEngine.Span;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class EvalEngineTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden");

  private EvalEngine engine;

  @BeforeEach
  void open() throws IOException {
    try (BaseModelFiles files =
        BaseModelFiles.open(GOLDEN.resolve("models/llama"), Quantization.NONE)) {
      ModelText text =
          new ModelText(
              Tokenizer.fromJson(files.tokenizerJson().orElseThrow()), null, Set.of(), false, -1);
      engine =
          EvalEngine.open(
              files,
              text,
              "base",
              Map.of("lora", GOLDEN.resolve("adapters/lora-all-linear")),
              new EngineSettings("torch", "cpu", 2, 64, 8, 1 << 20),
              EvalListener.NONE);
    }
  }

  @AfterEach
  void close() {
    engine.close();
  }

  private static int[] ids(int seed, int length) {
    return new Random(seed).ints(length, 0, 250).toArray();
  }

  @Test
  void scoresOfAFamilyAreThoseOfEachSpanAlone() {
    // Given: 12 endings of one beginning, for base and adapter
    int[] beginning = ids(1, 40);
    List<Span> spans = new ArrayList<>();
    for (int ending = 0; ending < 12; ending++) {
      int[] whole = Arrays.copyOf(beginning, 43);
      System.arraycopy(ids(100 + ending, 3), 0, whole, 40, 3);
      spans.add(new Span(whole, 40, ending % 2, 7));
    }
    // When
    List<float[]> together = engine.score("t", spans, EvalListener.NONE);
    // Then
    for (int i = 0; i < spans.size(); i++) {
      Span span = spans.get(i);
      float[] alone =
          engine
              .score(
                  "t",
                  List.of(new Span(span.ids(), 1, span.candidate(), 1000 + i)),
                  EvalListener.NONE)
              .get(0);
      assertArrayEquals(Arrays.copyOfRange(alone, 39, 42), together.get(i), 1e-4f, "span " + i);
    }
  }

  @Test
  void adapterScoresOtherwiseThanTheBase() {
    int[] ids = ids(2, 10);
    List<float[]> scores =
        engine.score(
            "t", List.of(new Span(ids, 1, 0, 1), new Span(ids, 1, 1, 2)), EvalListener.NONE);
    assertFalse(Arrays.equals(scores.get(0), scores.get(1)));
  }

  @Test
  void answerEndsBeforeItsStopStringAndAtItsLimit() {
    // Given
    Prompt open = new Prompt(ids(3, 8), 0, 24, List.of());
    Answer whole = engine.generate("t", List.of(open), EvalListener.NONE).get(0);
    assertEquals(24, whole.tokens());
    assertFalse(whole.ended());
    String stop = whole.text().substring(whole.text().length() / 2, whole.text().length() / 2 + 2);
    // When
    Answer cut =
        engine
            .generate("t", List.of(new Prompt(open.ids(), 0, 24, List.of(stop))), EvalListener.NONE)
            .get(0);
    // Then
    assertEquals(whole.text().substring(0, whole.text().indexOf(stop)), cut.text());
    assertTrue(cut.ended());
  }

  @Test
  void manyAnswersOfBaseAndAdapterAreThoseOfEachAlone() {
    // Given
    List<Prompt> prompts = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      prompts.add(new Prompt(ids(i, 5 + i), i % 2, 8, List.of()));
    }
    // When
    List<Answer> together = engine.generate("t", prompts, EvalListener.NONE);
    // Then
    for (int i = 0; i < prompts.size(); i++) {
      Answer alone = engine.generate("t", List.of(prompts.get(i)), EvalListener.NONE).get(0);
      assertEquals(alone.text(), together.get(i).text(), "prompt " + i);
    }
  }
}
