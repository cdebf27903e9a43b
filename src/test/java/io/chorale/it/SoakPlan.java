package io.chorale.it;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;

/**
 * What the soak asks. By default the tiny model with five of its golden adapters for a minute;
 * system properties make it another one: {@code chorale.soak.seconds}, {@code chorale.soak.model}
 * (a model file) with {@code chorale.soak.adapters} (a folder of adapter folders).
 *
 * @param sources paths of adapters below the root
 * @param tokens prompts are made of token ids 1 to this
 */
record SoakPlan(
    long seconds, Path model, List<String> sources, int tokens, List<SoakPlan.Question> questions) {
  static final List<String> TINY_SOURCES =
      List.of("lora-all-linear", "dora", "rslora", "mixed-ranks", "saved-f16");

  private static final int[] PROMPT_TOKENS = {3, 20, 60, 150, 300};
  private static final int[] ANSWER_TOKENS = {1, 10, 40, 120};
  private static final String BODY =
      "{\"model\": \"%s\", \"prompt\": [%s], \"max_tokens\": %d, \"ignore_eos\": true%s}";

  /**
   * A prompt whose answer is the same whenever the same weights are asked: greedy, or sampled with
   * a seed.
   */
  record Question(String prompt, int maxTokens, boolean sampled) {
    String body(String name, String more) {
      String how = sampled ? ", \"temperature\": 0.9, \"seed\": 7" : ", \"temperature\": 0";
      return BODY.formatted(name, prompt, maxTokens, how + more);
    }
  }

  static SoakPlan ofProperties(List<String> tinySources, List<String> otherSources) {
    long seconds = Long.getLong("chorale.soak.seconds", 60);
    String model = System.getProperty("chorale.soak.model", "");
    boolean tiny = model.isBlank();
    int tokens = tiny ? 250 : 30_000;
    Path file = tiny ? ServerProcess.TINY_MODEL : Path.of(model);
    return new SoakPlan(
        seconds, file, tiny ? tinySources : otherSources, tokens, questions(tokens));
  }

  private static List<Question> questions(int tokens) {
    Random random = new Random(6);
    List<Question> all = new ArrayList<>();
    for (int promptTokens : PROMPT_TOKENS) {
      for (int answerTokens : ANSWER_TOKENS) {
        for (boolean sampled : new boolean[] {false, true}) {
          all.add(new Question(prompt(random, promptTokens, tokens), answerTokens, sampled));
        }
      }
    }
    return List.copyOf(all);
  }

  /** Token ids. */
  static String prompt(Random random, int length, int tokens) {
    return random
        .ints(length, 1, tokens)
        .mapToObj(Integer::toString)
        .collect(Collectors.joining(", "));
  }
}
