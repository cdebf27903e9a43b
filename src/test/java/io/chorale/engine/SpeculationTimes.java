package io.chorale.engine;

import io.chorale.engine.Answers.Question;
import io.chorale.kernel.Kernels;
import io.chorale.kernel.Ops;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.CausalLm;
import io.chorale.model.Quantization;
import io.chorale.model.StepLimits;
import io.chorale.model.WeightLoader;
import io.chorale.sched.SamplingParams;
import io.chorale.sched.SchedulerOptions;
import io.chorale.sched.draft.DraftOptions;
import io.chorale.sched.draft.Drafting;
import io.chorale.text.ChatPrompt;
import io.chorale.text.ChatTemplate;
import io.chorale.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Times answers of a real model without drafts, with drafts where they pay, and with drafts always,
 * in turn in one engine: {@code SpeculationTimes <model> <rounds> <max drafts> <min match>
 * <temperatures> <kinds>}. A program, not a test.
 */
final class SpeculationTimes {
  private static final String TEXT =
      """
      The lighthouse keeper kept a log of every ship that passed the point. On Monday the barque Helena went north with
      timber and two masts of tar. On Tuesday nothing passed but fog. On Wednesday the steamer Amberley went south with
      coal, slowly, her pumps working, and signalled that she wanted a pilot. On Thursday the pilot came back alone and
      said that the Amberley had gone aground off Gull Rock at four in the morning, and that her crew was safe ashore.""";
  private static final String CODE =
      """
      class Account:
          def __init__(self, owner, balance):
              self.owner = owner
              self.balance = balance

          def deposit(self, amount):
              if amount <= 0:
                  raise ValueError("amount must be positive")
              self.balance = self.balance + amount
              return self.balance

          def withdraw(self, amount):
              if amount > self.balance:
                  raise ValueError("not enough money")
              self.balance = self.balance - amount
              return self.balance""";

  private static final Map<String, List<String>> KINDS =
      Map.of(
          "copy",
          List.of(
              "Repeat this text word for word:\n\n" + TEXT,
              "Correct the spelling of this text, and change nothing else:\n\n" + TEXT),
          "summary",
          List.of(
              "Summarize this text in three sentences:\n\n" + TEXT,
              "List every ship and day that this text names:\n\n" + TEXT),
          "code",
          List.of(
              "Rename balance to funds in this code and show all of it:\n\n" + CODE,
              "Add a docstring to every method of this class and show all of it:\n\n" + CODE),
          "chat",
          List.of(
              "Why is the sky blue, and why are sunsets red?",
              "Tell me a story about a fox who wants to learn to swim.",
              "Give me advice for my first week in a new job.",
              "What should I cook tonight with rice, eggs and spinach?"));

  private final EngineLoop engine;
  private final ChatPrompt chat;

  private SpeculationTimes(EngineLoop engine, ChatPrompt chat) {
    this.engine = engine;
    this.chat = chat;
  }

  public static void main(String[] args) throws Exception {
    Ops ops = Kernels.choose("auto", "cpu", Runtime.getRuntime().availableProcessors());
    int rounds = Integer.parseInt(args[1]);
    DraftOptions drafting = new DraftOptions(Integer.parseInt(args[2]), Integer.parseInt(args[3]));
    CausalLm model;
    ChatPrompt chat;
    try (BaseModelFiles files = BaseModelFiles.open(Path.of(args[0]), Quantization.NONE)) {
      Tokenizer tokenizer = Tokenizer.fromGguf(files.ggufMetadata());
      Map<String, Object> globals = Map.of("bos_token", "<|im_start|>", "eos_token", "<|im_end|>");
      chat =
          new ChatPrompt(
              tokenizer, ChatTemplate.parse(files.chatTemplate().orElseThrow()), globals);
      model = new WeightLoader(files, ops).load(new StepLimits(512, 32), layer -> {});
    }
    SchedulerOptions options = new SchedulerOptions(512, 64, 16, 2000, 1, 2048, 512, true);
    try (EngineLoop engine =
        new EngineLoop(
            options,
            new ModelRunner(model, key -> null, 2000, 16, 1, 0),
            new EngineLoop.Options(64, 1000, drafting, 0))) {
      SpeculationTimes times = new SpeculationTimes(engine, chat);
      for (String temperature : args[4].split(",")) {
        for (String kind : args[5].split(",")) {
          for (int streams : new int[] {1, 4, 16}) {
            times.compare(kind, streams, Double.parseDouble(temperature), rounds);
          }
        }
      }
    }
  }

  private void compare(String kind, int streams, double temperature, int rounds) throws Exception {
    Drafting[] modes = Drafting.values();
    double[][] rates = new double[modes.length][rounds];
    double[] drafted = new double[modes.length];
    double[] accepted = new double[modes.length];
    for (int round = 0; round < rounds; round++) {
      for (int turn = 0; turn < modes.length; turn++) {
        int mode = (turn + round) % modes.length;
        EngineStats before = engine.stats();
        long start = System.nanoTime();
        long tokens = answer(kind, streams, temperature, round, modes[mode]);
        rates[mode][round] = tokens * 1e9 / (System.nanoTime() - start);
        Thread.sleep(5);
        EngineStats after = engine.stats();
        drafted[mode] += after.draftedTokens() - before.draftedTokens();
        accepted[mode] += after.acceptedDraftTokens() - before.acceptedDraftTokens();
      }
    }
    StringBuilder line =
        new StringBuilder("%-8s t=%.1f %2d streams".formatted(kind, temperature, streams));
    double[] never = rates[Drafting.NEVER.ordinal()];
    line.append("  never %6.1f tok/s".formatted(median(never)));
    for (Drafting mode : List.of(Drafting.AUTO, Drafting.ALWAYS)) {
      double[] ratios = new double[rounds];
      Arrays.setAll(ratios, i -> rates[mode.ordinal()][i] / never[i]);
      line.append(
          "  %s x%.2f (%.2f..%.2f) accepted %.0f of %.0f"
              .formatted(
                  mode,
                  median(ratios),
                  Arrays.stream(ratios).min().orElseThrow(),
                  Arrays.stream(ratios).max().orElseThrow(),
                  accepted[mode.ordinal()],
                  drafted[mode.ordinal()]));
    }
    System.out.println(line);
  }

  /** Tokens of {@code streams} answers at once. */
  private long answer(String kind, int streams, double temperature, int seed, Drafting drafting)
      throws Exception {
    List<Question> questions = new ArrayList<>();
    List<String> prompts = KINDS.get(kind);
    for (int i = 0; i < streams; i++) {
      String prompt = prompts.get((i + seed) % prompts.size());
      int[] ids =
          chat.encode(List.of(Map.of("role", "user", "content", prompt)), null, true, Map.of());
      questions.add(
          new Question(
              ids,
              GenerationRequest.BASE,
              new SamplingParams(
                  temperature,
                  temperature == 0 ? 1 : 0.95,
                  0,
                  0,
                  1,
                  0,
                  0,
                  Map.of(),
                  seed * 100L + i,
                  Set.of(2),
                  128,
                  0,
                  -1,
                  false)));
    }
    long tokens = 0;
    for (RecordingSink sink : Answers.of(engine, questions, drafting)) {
      tokens += sink.usage.completionTokens();
    }
    return tokens;
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
