package io.chorale.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.RealModelFile;
import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRef;
import io.chorale.kernel.ForwardInputs;
import io.chorale.kernel.KvPages;
import io.chorale.kernel.Ops;
import io.chorale.lora.LoraSlots;
import io.chorale.lora.LoraSource;
import io.chorale.lora.LoraWeights;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.CausalLm;
import io.chorale.model.Quantization;
import io.chorale.model.StepLimits;
import io.chorale.model.WeightLoader;
import io.chorale.sched.FinishReason;
import io.chorale.sched.SamplingParams;
import io.chorale.sched.SchedulerOptions;
import io.chorale.text.ChatPrompt;
import io.chorale.text.ChatTemplate;
import io.chorale.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The real model with base, legal and code against transformers and PEFT on the same dequantized
 * weights (golden/real-model/README.md). All 18 answers come from one engine that got them at once.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class RealModelContract {
  /** What computes. */
  abstract Ops ops();

  /** A token may differ only where the reference's two best logits are closer than this. */
  abstract double gap();

  /** Largest difference of a logit after the prompt. */
  abstract double logitTolerance();

  private static final List<String> ADAPTERS = List.of("legal", "code");
  private static final int BLOCK = 16;
  private static final int BLOCKS = 1000;

  private final List<GoldenAnswer> golden = new ArrayList<>();
  private final Map<GoldenAnswer, RecordingSink> answers = new HashMap<>();
  private final Map<GoldenAnswer, float[]> logitsOf = new HashMap<>();
  private ChatPrompt chatPrompt;

  Stream<GoldenAnswer> golden() {
    return golden.stream();
  }

  Stream<GoldenAnswer> shortPrompts() {
    return golden.stream().filter(golden -> golden.promptIds().length < 100);
  }

  /** Loads once, takes the logits after the short prompts, then gives the model to an engine. */
  @BeforeAll
  void answerAll() throws Exception {
    for (String name : List.of("base", "legal", "code")) {
      golden.addAll(GoldenAnswer.of(name));
    }
    Ops ops = ops();
    List<LoraWeights> weights = new ArrayList<>();
    CausalLm model;
    try (Ops.ThreadBinding binding = ops.bindThread();
        BaseModelFiles files = BaseModelFiles.open(RealModelFile.path(), Quantization.NONE)) {
      chatPrompt = chatPrompt(files);
      for (String name : ADAPTERS) {
        AdapterLoader.Loaded loaded =
            new AdapterLoader(files.spec(), files.fingerprint(), AdapterLoader.DEFAULT_MAX_BYTES)
                .load(new AdapterRef(name, 1), Path.of("adapters", name));
        assertEquals(
            GoldenAnswer.adapterSha256(name),
            loaded.fileSha256().get("adapter_model.safetensors"),
            "adapters/" + name + " is not the one that the golden answers were made with");
        weights.add(loaded.weights());
      }
      model = new WeightLoader(files, ops).load(new StepLimits(768, 32), layer -> {});
      logitsAfterShortPrompts(model, weights);
    }
    generateAtOnce(model, weights::get);
  }

  private static ChatPrompt chatPrompt(BaseModelFiles files) throws Exception {
    Tokenizer tokenizer = Tokenizer.fromGguf(files.ggufMetadata());
    Map<String, Object> globals = Map.of("bos_token", "<|im_start|>", "eos_token", "<|im_end|>");
    return new ChatPrompt(
        tokenizer, ChatTemplate.parse(files.chatTemplate().orElseThrow()), globals);
  }

  private void generateAtOnce(CausalLm model, LoraSource adapters) throws Exception {
    SchedulerOptions options =
        new SchedulerOptions(256, 32, BLOCK, BLOCKS, ADAPTERS.size(), 2048, 256, true);
    EngineLoop engine =
        new EngineLoop(
            options,
            new ModelRunner(model, adapters, BLOCKS, BLOCK, ADAPTERS.size(), 0),
            new EngineLoop.Options(64, 1000));
    try (engine) {
      List<GenerationRequest> requests = new ArrayList<>();
      for (GoldenAnswer golden : golden) {
        RecordingSink sink = new RecordingSink();
        answers.put(golden, sink);
        requests.add(
            new GenerationRequest(
                golden.promptIds(), ADAPTERS.indexOf(golden.adapter()), greedy64(), sink));
      }
      engine.submit(requests);
      for (RecordingSink sink : answers.values()) {
        assertEquals(FinishReason.LENGTH, sink.await(1200), sink.message);
      }
    }
    EngineStats stats = engine.stats();
    assertEquals(stats.totalBlocks(), stats.freeBlocks() + stats.cachedBlocks(), "blocks lost");
  }

  private static SamplingParams greedy64() {
    return new SamplingParams(
        0, 1, 0, 0, 1, 0, 0, Map.of(), 0, Set.of(), 64, 0, SamplingParams.MAX_LOGPROBS, false);
  }

  /** One step of all short prompts with their adapters; keeps each last row's logits. */
  private void logitsAfterShortPrompts(CausalLm model, List<LoraWeights> weights) {
    List<GoldenAnswer> prompts = shortPrompts().toList();
    int[] counts = prompts.stream().mapToInt(golden -> golden.promptIds().length).toArray();
    int[] first = new int[counts.length];
    int[][] tables = new int[counts.length][];
    for (int i = 0; i < counts.length; i++) {
      first[i] = i == 0 ? 0 : first[i - 1] + counts[i - 1];
      tables[i] = IntStream.range(7 * i, 7 * i + 7).toArray(); // 7 x 16 positions
    }
    ForwardInputs inputs =
        new ForwardInputs(
            prompts.stream().flatMapToInt(golden -> IntStream.of(golden.promptIds())).toArray(),
            IntStream.of(counts).flatMap(n -> IntStream.range(0, n)).toArray(),
            prompts.stream()
                .flatMapToInt(
                    golden ->
                        IntStream.of(golden.promptIds())
                            .map(id -> ADAPTERS.indexOf(golden.adapter())))
                .toArray(),
            first,
            counts,
            tables,
            BLOCK,
            IntStream.range(0, counts.length).map(i -> first[i] + counts[i] - 1).toArray());
    try (KvPages pages = model.kvPages(7 * BLOCK * counts.length);
        LoraSlots slots = new LoraSlots(model.loraTable(weights.size()), model.spec().layers())) {
      for (int slot = 0; slot < weights.size(); slot++) {
        slots.seat(slot, slots.prepare(weights.get(slot)));
      }
      int vocab = model.spec().vocab();
      model.forward(
          inputs,
          slots.table(),
          pages,
          (from, rows, logits) -> {
            for (int i = 0; i < rows; i++) {
              float[] row = Arrays.copyOfRange(logits, i * vocab, (i + 1) * vocab);
              logitsOf.put(prompts.get(from + i), row);
            }
          });
    }
  }

  @ParameterizedTest
  @MethodSource("golden")
  void greedyTokensAreTheReferencesUntilItsChoiceWasATossUp(GoldenAnswer golden) {
    List<Integer> got = answers.get(golden).tokens;
    assertEquals(golden.outputIds().length, got.size());
    for (int i = 0; i < golden.outputIds().length; i++) {
      if (golden.outputIds()[i] != got.get(i)) {
        assertTrue(
            golden.gaps()[i] < gap(),
            "%s: token %d is %d, wanted %d, and the reference was sure by %s"
                .formatted(golden, i, got.get(i), golden.outputIds()[i], golden.gaps()[i]));
        return; // from here on the context is another one
      }
    }
  }

  @ParameterizedTest
  @MethodSource("golden")
  void topLogprobsAfterThePromptAreApartAsTheReferencesLogitsAre(GoldenAnswer golden) {
    TokenLogprobs got = answers.get(golden).logprobs.get(0);
    for (int i = 0; i < golden.topIds().length; i++) {
      double wanted = golden.topLogits()[i] - golden.topLogits()[0];
      double had = got.topLogprobs()[i] - got.topLogprobs()[0];
      assertEquals(wanted, had, 2 * logitTolerance(), golden + ": rank " + i);
    }
  }

  @ParameterizedTest
  @MethodSource("shortPrompts")
  void logitsAfterThePromptAreTheReferences(GoldenAnswer golden) {
    float[] got = logitsOf.get(golden);
    for (int i = 0; i < golden.probeIds().length; i++) {
      int id = golden.probeIds()[i];
      assertEquals(golden.probeLogits()[i], got[id], logitTolerance(), golden + ": token " + id);
    }
    for (int i = 0; i < golden.topIds().length; i++) {
      int id = golden.topIds()[i];
      assertEquals(golden.topLogits()[i], got[id], logitTolerance(), golden + ": token " + id);
    }
  }

  @ParameterizedTest
  @MethodSource("golden")
  void chatPromptFromTheGgufFileGivesTransformersIds(GoldenAnswer golden) throws Exception {
    int[] got = chatPrompt.encode(golden.messages(), null, true, Map.of());
    assertArrayEquals(golden.promptIds(), got, golden.prompt());
  }

  @ParameterizedTest
  @CsvSource({"legal, licence", "code, function"})
  void adapterAnswersItsOwnTaskUnlikeAllOthers(String adapter, String prompt) {
    List<GoldenAnswer> asked = golden().filter(g -> g.prompt().equals(prompt)).toList();
    List<Integer> own = answers.get(of(adapter, asked)).tokens;
    List<GoldenAnswer> others = asked.stream().filter(g -> !g.adapter().equals(adapter)).toList();
    assertEquals(2, others.size());
    others.forEach(g -> assertNotEquals(own, answers.get(g).tokens, g + " answers alike"));
  }

  private static GoldenAnswer of(String adapter, List<GoldenAnswer> some) {
    return some.stream().filter(g -> g.adapter().equals(adapter)).findFirst().orElseThrow();
  }
}
