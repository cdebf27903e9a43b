package io.chorale.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRef;
import io.chorale.adapter.push.Canary;
import io.chorale.lora.LoraWeights;
import io.chorale.model.GoldenLogits;
import io.chorale.train.config.ConfigYaml;
import io.chorale.train.config.Flag;
import io.chorale.train.config.FlagValues;
import io.chorale.train.model.Parameter;
import io.chorale.train.watch.TrainEvent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Scalar;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TrainerTest {
  private static final String WEIGHTS = "adapter_model.safetensors";

  @TempDir Path folder;

  private Path out() {
    return folder.resolve("out");
  }

  @Test
  void runTellsEveryStepAndTheLossFalls() throws IOException {
    try (TinyRun run = TinyRun.open(folder, "max-steps", "20", "lr", "0.01")) {
      // When
      TrainOutcome outcome = run.trainer.run();
      // Then
      List<TrainEvent.Step> steps = run.events(TrainEvent.Step.class);
      assertEquals(20, steps.size());
      assertTrue(steps.get(19).loss() < 0.7 * steps.get(0).loss(), steps.toString());
      assertEquals(20, outcome.state().step());
      assertEquals("done", run.events(TrainEvent.Finished.class).get(0).why());
    }
  }

  @Test
  void sameSeedGivesTheSameBitsAndAnotherSeedOthers() throws IOException {
    // When
    byte[] one = weights("a", "seed", "7");
    byte[] two = weights("b", "seed", "7");
    byte[] other = weights("c", "seed", "8");
    // Then
    assertArrayEquals(one, two);
    assertFalse(Arrays.equals(one, other));
  }

  @Test
  void retainedRowsAreToldOfFromZeroAndKeepTheModelNearItsBase() throws IOException {
    // When
    List<TrainEvent.Retained> held = distances("held", "10");
    List<TrainEvent.Retained> free = distances("free", "1e-9");
    // Then
    assertEquals(IntStream.rangeClosed(1, 20).boxed().toList(), steps(held));
    assertEquals(0, held.get(0).divergence(), 1e-9); // B is 0
    assertTrue(free.get(19).divergence() > 0.1, free.toString());
    assertTrue(held.get(19).divergence() < 0.2 * free.get(19).divergence(), held.toString());
  }

  private static List<Integer> steps(List<TrainEvent.Retained> told) {
    return told.stream().map(TrainEvent.Retained::step).toList();
  }

  private List<TrainEvent.Retained> distances(String name, String weight) throws IOException {
    String[] flags = {
      "retain-data",
      "kept.jsonl",
      "retain-weight",
      weight,
      "retain-batch",
      "3",
      "max-steps",
      "20",
      "lr",
      "0.01",
      "dropout",
      "0"
    };
    try (TinyRun run = TinyRun.open(folder.resolve(name), flags)) {
      run.trainer.run();
      return run.events(TrainEvent.Retained.class);
    }
  }

  @Test
  void retainedRowsNeedABaseThatIsNotTrained() {
    // When
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> TinyRun.open(folder, "retain-data", "kept.jsonl", "modules-to-save", "lm_head"));
    // Then
    assertTrue(e.getMessage().startsWith("--retain-data is given with --modules-to-save"));
  }

  private byte[] weights(String name, String... flags) throws IOException {
    try (TinyRun run = TinyRun.open(folder.resolve(name), flags)) {
      run.trainer.run();
    }
    return Files.readAllBytes(folder.resolve(name).resolve("out").resolve(WEIGHTS));
  }

  private static double logSoftmax(float[] logits, int token) {
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit);
    }
    return logits[token] - Math.log(sum);
  }

  @ParameterizedTest
  @ValueSource(strings = {"lora", "rslora", "dora"})
  void serversLoaderTakesTheAdapterAndItsFactsAreWhole(String method) throws IOException {
    try (TinyRun run = TinyRun.open(folder, "method", method, "alpha", "6")) {
      // Given
      run.trainer.run();
      // When
      LoraWeights loaded =
          new AdapterLoader(
                  run.files.spec(), run.files.fingerprint(), AdapterLoader.DEFAULT_MAX_BYTES)
              .load(new AdapterRef("tiny", 1), out())
              .weights();
      // Then
      assertEquals(14, loaded.modules().size());
      JsonNode facts = new ObjectMapper().readTree(out().resolve("chorale.json").toFile());
      assertEquals(run.files.fingerprint(), facts.at("/base/fingerprint").asText());
      assertEquals(6, facts.at("/result/step").asInt());
      Canary canary = Canary.read(out()).orElseThrow(); // as the server reads it
      int last = canary.ids().length - 1;
      float[] logits = run.model.logits(Arrays.copyOf(canary.ids(), last));
      assertEquals(logSoftmax(logits, canary.ids()[last]), canary.logprobs()[last - 1], 1e-4);
      assertNotEquals(canary.baseLogprobs()[last - 1], canary.logprobs()[last - 1]);
      assertEquals(
          run.options.values().asText(),
          FlagValues.of(Map.of(), ConfigYaml.read(out().resolve("chorale-config.yaml"))).asText());
    }
  }

  @Test
  void everyKeyThatPeftWritesIsInTheConfig() throws IOException {
    try (TinyRun run = TinyRun.open(folder)) {
      // When
      run.trainer.run();
      // Then
      ObjectMapper json = new ObjectMapper();
      JsonNode had = json.readTree(out().resolve("adapter_config.json").toFile());
      JsonNode peft =
          json.readTree(
              Path.of("src/test/resources/golden/adapters/lora-all-linear/adapter_config.json")
                  .toFile());
      HashSet<String> keys = new HashSet<>();
      peft.fieldNames().forEachRemaining(keys::add);
      keys.add("chorale_base_fingerprint");
      HashSet<String> ours = new HashSet<>();
      had.fieldNames().forEachRemaining(ours::add);
      assertEquals(keys, ours);
      assertEquals(4, had.get("r").asInt());
      assertEquals(0.05, had.get("lora_dropout").asDouble());
      assertEquals(7, had.get("target_modules").size());
    }
  }

  @Test
  void bestAdapterByHeldOutLossIsTheOneThatIsWritten() throws IOException {
    // Given a learning rate that spoils the adapter after some steps
    Map<Flag, List<String>> flags =
        TinyRun.flags(
            folder,
            "max-steps",
            "12",
            "eval-data",
            "held.jsonl",
            "eval-every",
            "2",
            "lr",
            "0.3",
            "schedule",
            "constant",
            "warmup",
            "0");
    try (TinyRun run =
        new TinyRun(flags, TinyRun.rows(18), Optional.of(TinyRun.rows(5)), e -> {})) {
      // When
      TrainOutcome outcome = run.trainer.run();
      // Then
      List<TrainEvent.Evaluated> all = run.events(TrainEvent.Evaluated.class);
      double best =
          all.stream()
              .filter(e -> e.step() > 0)
              .mapToDouble(TrainEvent.Evaluated::loss)
              .min()
              .orElseThrow();
      assertEquals(7, all.size(), "before, and after every second step");
      assertEquals(best, outcome.state().bestLoss());
      assertArrayEquals(
          Files.readAllBytes(run.folder.best().resolve(WEIGHTS)),
          Files.readAllBytes(out().resolve(WEIGHTS)));
      double kept = 0;
      long trained = 0;
      for (var batch : Batches.inOrder(TinyRun.rows(5).examples(), 2)) {
        kept += run.model.loss(batch);
        trained += batch.trainedTokens();
      }
      assertEquals(best, kept / trained, 1e-9);
    }
  }

  @Test
  void runStopsEarlyAfterSoManyEvaluationsWithoutABetterOne() throws IOException {
    // Given
    Map<Flag, List<String>> flags =
        TinyRun.flags(
            folder,
            "max-steps",
            "200",
            "eval-data",
            "held.jsonl",
            "eval-every",
            "1",
            "early-stopping",
            "3",
            "lr",
            "1",
            "schedule",
            "constant",
            "warmup",
            "0");
    try (TinyRun run =
        new TinyRun(flags, TinyRun.rows(18), Optional.of(TinyRun.rows(5)), e -> {})) {
      // When
      TrainOutcome outcome = run.trainer.run();
      // Then
      assertEquals("early stopping", outcome.why());
      assertEquals(outcome.state().bestStep() + 3, outcome.state().step());
      assertTrue(Files.exists(out().resolve(WEIGHTS)));
    }
  }

  @Test
  void rowsThatMakeTheLossNotFiniteAreNamedAndNoOthers() throws IOException {
    // Given a model that knows no number for the digit 8
    try (TinyRun run = TinyRun.open(folder, "method", "full", "model", "llama-untied")) {
      Parameter embedding =
          run.model.parameters().stream()
              .filter(p -> p.key().equals("model.embed_tokens.weight"))
              .findFirst()
              .orElseThrow();
      embedding.value().select(0, '8').fill_(new Scalar(Float.NaN));
      // When
      TrainFailure failure = assertThrows(TrainFailure.class, run.trainer::run);
      // Then
      TrainEvent.NotFinite told = run.events(TrainEvent.NotFinite.class).get(0);
      assertEquals("loss", told.what());
      assertFalse(told.sources().isEmpty());
      for (String source : told.sources()) {
        int row = Integer.parseInt(source.substring("tiny.jsonl:".length())) - 1;
        assertTrue(
            IntStream.of(run.rows.examples().get(row).ids()).anyMatch(id -> id == '8'), source);
        assertTrue(failure.getMessage().contains(source), failure.getMessage());
      }
      assertFalse(Files.exists(out()));
    }
  }

  @Test
  void retainedRowsThatMakeTheDivergenceNotFiniteAreNamed() throws IOException {
    // Given a model whose update knows no number for a letter of the retained rows only
    Map<Flag, List<String>> asked =
        TinyRun.flags(folder, "retain-data", "kept.jsonl", "retain-batch", "2");
    asked.put(Flag.TARGET_MODULES, List.of("q_proj", "embed_tokens"));
    try (TinyRun run = new TinyRun(asked, TinyRun.rows(18), Optional.empty(), e -> {})) {
      Parameter factor =
          run.model.parameters().stream()
              .filter(p -> p.key().endsWith("embed_tokens.lora_embedding_A"))
              .findFirst()
              .orElseThrow();
      factor.value().select(1, 'Z').fill_(new Scalar(Float.NaN));
      // When
      TrainFailure failure = assertThrows(TrainFailure.class, run.trainer::run);
      // Then
      TrainEvent.NotFinite told = run.events(TrainEvent.NotFinite.class).get(0);
      assertEquals("divergence from the base", told.what());
      assertEquals(2, told.sources().size());
      assertTrue(told.sources().stream().allMatch(s -> s.startsWith("kept.jsonl:")));
      assertTrue(failure.getMessage().contains(told.sources().get(0)), failure.getMessage());
    }
  }

  @Test
  void lastCheckpointOutlivesAFailureAndIsNamed() throws IOException {
    // Given a value that breaks after the third step
    TinyRun[] run = new TinyRun[1];
    Map<Flag, List<String>> flags = TinyRun.flags(folder, "save-every", "1");
    run[0] =
        new TinyRun(
            flags,
            TinyRun.rows(18),
            Optional.empty(),
            event -> {
              if (event instanceof TrainEvent.CheckpointSaved saved && saved.step() == 3) {
                run[0].model.parameters().get(1).value().fill_(new Scalar(Float.NaN));
              }
            });
    try (TinyRun opened = run[0]) {
      // When
      TrainFailure failure = assertThrows(TrainFailure.class, opened.trainer::run);
      // Then
      assertTrue(failure.getMessage().startsWith("step 4: the loss is not"), failure.getMessage());
      assertTrue(failure.getMessage().contains("step-00000003"), failure.getMessage());
      assertTrue(Files.exists(folder.resolve("run/checkpoints/step-00000003/state.json")));
    }
  }

  @Test
  void adapterFromPeftIsTrainedOnFromItsOwnLogits() throws IOException {
    for (String name :
        List.of("lora-all-linear", "dora", "rslora", "rank-pattern", "regex-targets")) {
      // Given
      Path golden = Path.of("src/test/resources/golden/adapters").resolve(name);
      var spec = io.chorale.train.save.InitAdapter.spec(golden, 0f, "any");
      Map<Flag, List<String>> flags = TinyRun.flags(folder.resolve(name), "lr", "0.01");
      flags.put(Flag.INIT_ADAPTER, List.of(golden.toString()));
      flags.put(Flag.METHOD, List.of(spec.method().name()));
      flags.put(Flag.RANK, List.of(Integer.toString(spec.rank())));
      flags.put(Flag.ALPHA, List.of(Float.toString(spec.alpha())));
      flags.put(Flag.TARGET_MODULES, spec.targetModules());
      flags.put(
          Flag.RANK_PATTERN,
          spec.rankPattern().entrySet().stream()
              .map(e -> e.getKey() + "=" + e.getValue())
              .toList());
      try (TinyRun run = new TinyRun(flags, TinyRun.rows(18), Optional.empty(), e -> {})) {
        GoldenLogits prompt = GoldenLogits.read(golden.resolve("logits.json")).get(0);
        // When
        float[] had = run.model.logits(prompt.ids());
        // Then the first thing it says is what PEFT says
        float[] wanted = prompt.logits()[prompt.ids().length - 1];
        assertArrayEquals(wanted, had, 2e-3f, name);
        run.trainer.run();
        assertTrue(Files.exists(folder.resolve(name).resolve("out").resolve(WEIGHTS)));
      }
    }
  }
}
