package io.chorale.eval.task;

import io.chorale.eval.DocumentRecord;
import io.chorale.eval.EvalListener;
import io.chorale.eval.Metric;
import io.chorale.eval.TaskResult;
import io.chorale.eval.run.EvalEngine;
import io.chorale.eval.run.EvalTask;
import io.chorale.eval.run.Sha256;
import io.chorale.eval.task.ChoiceDocs.Asked;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A multiple-choice test: the likeliest continuation is the answer. {@code acc} takes the largest
 * log-likelihood, {@code acc_norm} the largest per character of the choice, {@code acc_bytes} per
 * UTF-8 byte; of equals the first.
 */
final class ChoiceTest implements EvalTask {
  private final String name;
  private final List<Asked> documents;
  private final List<String> metrics;
  private final List<String> notes;

  ChoiceTest(String name, List<Asked> documents, List<String> metrics, List<String> notes) {
    this.name = name;
    this.documents = documents;
    this.metrics = metrics;
    this.notes = notes;
  }

  @Override
  public String name() {
    return name;
  }

  /** The contexts, for tests. */
  List<Asked> documents() {
    return documents;
  }

  List<String> metrics() {
    return metrics;
  }

  @Override
  public List<Question> questions() {
    return documents.stream()
        .map(document -> new Question(document.place(), document.question()))
        .toList();
  }

  @Override
  public TaskResult run(EvalEngine engine, EvalListener listener) {
    PairEncoder encoder = new PairEncoder(engine);
    int candidates = engine.candidates().size();
    List<EvalEngine.Span> spans = new ArrayList<>();
    for (int d = 0; d < documents.size(); d++) {
      Asked asked = documents.get(d);
      for (String continuation : asked.continuations()) {
        for (int c = 0; c < candidates; c++) {
          spans.add(encoder.encode(asked.place(), asked.context(), continuation, c, d));
        }
      }
    }
    List<float[]> scores = engine.score(name + ": choices", spans, listener);
    return judged(engine, scores);
  }

  private TaskResult judged(EvalEngine engine, List<float[]> scores) {
    int candidates = engine.candidates().size();
    List<DocumentRecord> records = new ArrayList<>();
    double[][][] right = new double[candidates][metrics.size()][documents.size()];
    int next = 0;
    for (int d = 0; d < documents.size(); d++) {
      Asked asked = documents.get(d);
      double[][] likelihoods = new double[candidates][asked.choices().size()];
      for (int choice = 0; choice < asked.choices().size(); choice++) {
        for (int c = 0; c < candidates; c++) {
          likelihoods[c][choice] = sum(scores.get(next++));
        }
      }
      for (int c = 0; c < candidates; c++) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("log_likelihoods", likelihoods[c]);
        fields.put("gold", asked.gold());
        for (int m = 0; m < metrics.size(); m++) {
          int answer = answer(metrics.get(m), likelihoods[c], asked.choices());
          right[c][m][d] = asked.gold().contains(answer) ? 1 : 0;
          fields.put(metrics.get(m) + "_answer", answer);
          fields.put(metrics.get(m), right[c][m][d]);
        }
        records.add(
            new DocumentRecord(
                name,
                String.valueOf(d),
                engine.candidates().get(c),
                Sha256.of(asked.context()),
                fields));
      }
    }
    return result(engine, right, records);
  }

  private TaskResult result(EvalEngine engine, double[][][] right, List<DocumentRecord> records) {
    Map<String, List<Metric>> byCandidate = new LinkedHashMap<>();
    for (int c = 0; c < right.length; c++) {
      List<Metric> list = new ArrayList<>();
      for (int m = 0; m < metrics.size(); m++) {
        list.add(Metric.share(metrics.get(m), right[c][m]));
      }
      byCandidate.put(engine.candidates().get(c), list);
    }
    String primary = metrics.contains("acc_norm") ? "acc_norm" : metrics.get(0);
    return new TaskResult(name, "multiple-choice", primary, byCandidate, records, notes);
  }

  private static double sum(float[] logprobs) {
    double sum = 0;
    for (float each : logprobs) {
      sum += each;
    }
    return sum;
  }

  /** The index of the first best choice. */
  static int answer(String metric, double[] likelihoods, List<String> choices) {
    int best = 0;
    double most = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < likelihoods.length; i++) {
      double value = value(metric, likelihoods[i], choices.get(i));
      if (value > most) {
        most = value;
        best = i;
      }
    }
    return best;
  }

  /** What a metric compares. */
  static double value(String metric, double likelihood, String choice) {
    return switch (metric) {
      case "acc_norm" -> likelihood / PyText.length(choice);
      case "acc_bytes" -> likelihood / choice.getBytes(StandardCharsets.UTF_8).length;
      default -> likelihood;
    };
  }
}
