package io.chorale.eval.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.RealModel;
import io.chorale.RealModelFile;
import io.chorale.app.BaseModel;
import io.chorale.eval.DocumentRecord;
import io.chorale.eval.EvalListener;
import io.chorale.eval.TaskResult;
import io.chorale.eval.perplexity.PerplexityTest;
import io.chorale.eval.run.EngineSettings;
import io.chorale.eval.run.EvalEngine;
import io.chorale.eval.run.EvalTask;
import io.chorale.eval.run.ModelText;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The real model's likelihoods and decisions against lm-evaluation-harness with transformers in
 * float32 on the same dequantized weights. The torch kernels compute the same numbers; the native
 * ones round activations to 8 bits, so that a choice that the reference itself holds for a toss-up
 * may fall otherwise.
 */
@RealModel
class HarnessDecisionsTest {
  /** Of each task; the float32 reference kernels take a second a document. */
  private static final Map<String, Integer> DOCUMENTS = Map.of("torch", 8, "native", 32);

  private static EvalEngine open(String kernels) throws IOException {
    try (BaseModelFiles files = BaseModelFiles.open(RealModelFile.path(), Quantization.NONE)) {
      BaseModel model = BaseModel.of(files);
      ModelText text =
          new ModelText(
              model.tokenizer(),
              model.chatPrompt(),
              files.spec().endTokenIds(),
              model.addBos(),
              model.bosTokenId());
      EngineSettings settings =
          EngineSettings.usual(kernels, "cpu", Runtime.getRuntime().availableProcessors());
      return EvalEngine.open(files, text, "base", Map.of(), settings, EvalListener.NONE);
    }
  }

  /**
   * @param perToken largest mean difference of a log-likelihood, in nats per token of the choice
   * @param tossUp a decision may differ only where the reference's best two are closer
   */
  @ParameterizedTest
  @CsvSource({"torch, 0.002, 0.004", "native, 0.15, 0.6"})
  void likelihoodsAreTheHarnessAndDecisionsDifferOnlyWhereItTossesUp(
      String kernels, double tolerance, double tossUp) throws IOException {
    try (EvalEngine engine = open(kernels)) {
      for (String task : List.of("hellaswag_swag", "letters", "examples", "general")) {
        List<JsonNode> golden = HarnessGolden.samples(task);
        int limit = Math.min(DOCUMENTS.get(kernels), golden.size());
        ChoiceTest test =
            (ChoiceTest)
                TaskFiles.read(
                        HarnessGolden.file(task).toString(),
                        new TaskFiles.Options(null, limit, Map.of()))
                    .tasks()
                    .get(0);
        // When
        TaskResult result = test.run(engine, EvalListener.NONE);
        // Then
        double distance = 0;
        int choices = 0;
        for (int d = 0; d < limit; d++) {
          DocumentRecord record = result.records().get(d);
          double[] had = (double[]) record.fields().get("log_likelihoods");
          JsonNode wanted = golden.get(d).get("ll");
          for (int i = 0; i < had.length; i++, choices++) {
            int letters = test.documents().get(d).choices().get(i).length();
            distance += Math.abs(had[i] - wanted.get(i).asDouble()) / (1 + letters / 5);
          }
          check(test, record, golden.get(d), d, tossUp);
        }
        double mean = distance / choices;
        assertTrue(mean <= tolerance, "%s, %s: mean distance %s".formatted(task, kernels, mean));
      }
    }
  }

  private static void check(
      ChoiceTest test, DocumentRecord record, JsonNode golden, int document, double tossUp) {
    double[] reference = new double[golden.get("ll").size()];
    for (int i = 0; i < reference.length; i++) {
      reference[i] = golden.get("ll").get(i).asDouble();
    }
    List<String> choices = test.documents().get(document).choices();
    for (String metric : test.metrics()) {
      int wanted = ChoiceTest.answer(metric, reference, choices);
      int had = (Integer) record.fields().get(metric + "_answer");
      if (had != wanted) {
        double of = ChoiceTest.value(metric, reference[had], choices.get(had));
        double scale = reference[had] / of; // back to nats of the whole choice
        double best = ChoiceTest.value(metric, reference[wanted], choices.get(wanted));
        double apart = (best - of) * scale;
        assertTrue(
            apart < tossUp,
            "%s %d: %s chose %d, the harness %d, %s nats apart"
                .formatted(test.name(), document, metric, had, wanted, apart));
      } else {
        assertEquals(golden.get(metric).asDouble(), record.fields().get(metric), metric);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"torch, 0.0005", "native, 0.02"})
  void rollingPerplexityIsTheHarness(String kernels, double relative) throws IOException {
    // Given
    List<JsonNode> golden = HarnessGolden.samples("rolling");
    EvalTask test =
        PerplexityTest.read(
            "rolling",
            HarnessGolden.data("rolling.jsonl"),
            new PerplexityTest.Options(0, 0, golden.size()));
    // When
    TaskResult result;
    try (EvalEngine engine = open(kernels)) {
      result = test.run(engine, EvalListener.NONE);
    }
    // Then
    for (int d = 0; d < golden.size(); d++) {
      double had = (Double) result.records().get(d).fields().get("negative_log_likelihood");
      double wanted = -golden.get(d).get("ll").get(0).asDouble();
      assertEquals(wanted, had, relative * wanted, "document " + d);
    }
  }
}
