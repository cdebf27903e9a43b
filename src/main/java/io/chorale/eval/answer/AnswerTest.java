package io.chorale.eval.answer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.TextNode;
import io.chorale.eval.DocumentRecord;
import io.chorale.eval.EvalException;
import io.chorale.eval.EvalListener;
import io.chorale.eval.Metric;
import io.chorale.eval.TaskResult;
import io.chorale.eval.run.EvalEngine;
import io.chorale.eval.run.EvalTask;
import io.chorale.eval.run.JsonRows;
import io.chorale.eval.run.Sha256;
import io.chorale.eval.score.Scorer;
import io.chorale.eval.score.Scorers;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.IntStream;

/**
 * A test file of questions with right answers: each candidate answers greedily, each answer is
 * scored 0 or 1, and the share is {@code accuracy}.
 */
public final class AnswerTest implements EvalTask {
  /**
   * How to ask.
   *
   * @param shape of the prompt
   * @param maxNewTokens of an answer, unless the row says {@code max_new_tokens}
   * @param scorer of rows that name none
   * @param limit only the first so many rows, 0 for all
   */
  public record Options(PromptShape shape, int maxNewTokens, String scorer, int limit) {
    public Options {
      if (maxNewTokens < 1 || limit < 0) {
        throw new IllegalArgumentException(
            "max-new-tokens is %d and limit %d, wanted 1 or more and 0 or more"
                .formatted(maxNewTokens, limit));
      }
    }
  }

  /** A row, read. */
  private record Document(
      String id,
      RowPrompt prompt,
      List<String> wanted,
      Scorer scorer,
      int maxNewTokens,
      List<String> stops) {}

  private final String name;
  private final Options options;
  private final List<Document> documents;

  private AnswerTest(String name, Options options, List<Document> documents) {
    this.name = name;
    this.options = options;
    this.documents = documents;
  }

  /**
   * Reads a test file: JSON Lines or a JSON array.
   *
   * @throws EvalException naming file, line and what is wrong with it
   */
  public static AnswerTest read(String name, Path file, Options options, Scorers scorers) {
    List<JsonRows.Row> rows = JsonRows.read(file);
    List<Document> documents = new ArrayList<>();
    for (JsonRows.Row row : rows.subList(0, limit(rows.size(), options.limit()))) {
      try {
        documents.add(document(row, options, scorers));
      } catch (EvalException e) {
        boolean placed = e.getMessage().startsWith(row.place());
        throw placed ? e : new EvalException(row.place() + ": " + e.getMessage(), e);
      }
    }
    return new AnswerTest(name, options, documents);
  }

  private static int limit(int rows, int limit) {
    return limit == 0 ? rows : Math.min(rows, limit);
  }

  private static Document document(JsonRows.Row row, Options options, Scorers scorers) {
    JsonNode fields = row.fields();
    RowPrompt prompt = RowPrompt.of(row);
    JsonNode named =
        fields.hasNonNull("scorer") ? fields.get("scorer") : TextNode.valueOf(options.scorer());
    Scorer scorer = scorers.of(named, fields);
    List<String> wanted = wanted(fields, prompt);
    if (wanted.isEmpty() && !scorer.label().equals("python")) {
      throw new EvalException("has no answer or answers");
    }
    List<String> stops = new ArrayList<>();
    fields.path("stop").forEach(stop -> stops.add(stop.asText()));
    if (fields.path("stop").isTextual()) {
      stops.add(fields.get("stop").textValue());
    }
    if (stops.contains("")) {
      throw new EvalException("has an empty string in stop");
    }
    int most = fields.path("max_new_tokens").asInt(options.maxNewTokens());
    if (most < 1) {
      throw new EvalException("max_new_tokens is %d, wanted 1 or more".formatted(most));
    }
    String id = fields.hasNonNull("id") ? fields.get("id").asText() : place(row.place());
    return new Document(id, prompt, wanted, scorer, most, stops);
  }

  private static String place(String path) {
    return path.substring(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
  }

  private static List<String> wanted(JsonNode fields, RowPrompt prompt) {
    List<String> wanted = new ArrayList<>();
    for (String field : new String[] {"answers", "answer", "output", "completion"}) {
      JsonNode value = fields.path(field);
      if (value.isArray()) {
        value.forEach(each -> wanted.add(each.asText()));
      } else if (value.isObject()) {
        wanted.add(value.toString());
      } else if (value.isValueNode() && !value.isNull()) {
        wanted.add(value.asText());
      }
      if (!wanted.isEmpty()) {
        return wanted;
      }
    }
    return prompt.last() == null ? wanted : List.of(prompt.last());
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public List<Question> questions() {
    return documents.stream()
        .map(document -> new Question(document.prompt().place(), document.prompt().question()))
        .toList();
  }

  @Override
  public TaskResult run(EvalEngine engine, EvalListener listener) {
    int candidates = engine.candidates().size();
    List<EvalEngine.Prompt> prompts = new ArrayList<>();
    for (Document document : documents) {
      int[] ids = document.prompt().ids(engine.text(), options.shape());
      int room = engine.maxTokens() - ids.length;
      if (room < 1) {
        throw new EvalException(
            "%s: the prompt has %d tokens, the model's context %d; shorten it"
                .formatted(document.prompt().place(), ids.length, engine.maxTokens()));
      }
      int most = Math.min(room, document.maxNewTokens());
      IntStream.range(0, candidates)
          .forEach(c -> prompts.add(new EvalEngine.Prompt(ids, c, most, document.stops())));
    }
    List<EvalEngine.Answer> answers = engine.generate(name + ": answers", prompts, listener);
    return scored(engine, prompts, answers, listener);
  }

  private TaskResult scored(
      EvalEngine engine,
      List<EvalEngine.Prompt> prompts,
      List<EvalEngine.Answer> answers,
      EvalListener listener) {
    int candidates = engine.candidates().size();
    double[][] scores = new double[candidates][documents.size()];
    List<DocumentRecord> records = new ArrayList<>();
    int unended = 0;
    for (int i = 0; i < answers.size(); i++) {
      int d = i / candidates;
      int c = i % candidates;
      Document document = documents.get(d);
      EvalEngine.Answer answer = answers.get(i);
      Scorer.Verdict verdict = document.scorer().score(answer.text(), document.wanted());
      scores[c][d] = verdict.score();
      unended += answer.ended() ? 0 : 1;
      String sha = Sha256.of(Arrays.toString(prompts.get(i).ids()));
      records.add(
          new DocumentRecord(
              name,
              document.id(),
              engine.candidates().get(c),
              sha,
              fields(document, answer, verdict)));
      listener.at(name + ": scores", i + 1L, answers.size());
    }
    Map<String, List<Metric>> metrics = new LinkedHashMap<>();
    for (int c = 0; c < candidates; c++) {
      metrics.put(engine.candidates().get(c), List.of(Metric.share("accuracy", scores[c])));
    }
    TreeSet<String> used = new TreeSet<>();
    documents.forEach(document -> used.add(document.scorer().label()));
    return new TaskResult(
        name,
        "generate",
        "accuracy",
        metrics,
        records,
        List.of(
            "greedy answers, prompt form %s, scorers %s".formatted(options.shape().label(), used),
            "%d of %d answers were cut at their token limit".formatted(unended, answers.size())));
  }

  private static Map<String, Object> fields(
      Document document, EvalEngine.Answer answer, Scorer.Verdict verdict) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("question", document.prompt().question());
    fields.put("answer", answer.text());
    fields.put("wanted", document.wanted());
    fields.put("scorer", document.scorer().label());
    fields.put("seen", verdict.seen());
    fields.put("score", verdict.score());
    if (verdict.note() != null) {
      fields.put("note", verdict.note());
    }
    fields.put("tokens", answer.tokens());
    fields.put("ended", answer.ended());
    return fields;
  }
}
