package io.chorale.eval.answer;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.eval.DocumentRecord;
import io.chorale.eval.EvalException;
import io.chorale.eval.EvalListener;
import io.chorale.eval.Metric;
import io.chorale.eval.Metric.Transform;
import io.chorale.eval.TaskResult;
import io.chorale.eval.run.EvalEngine;
import io.chorale.eval.run.EvalTask;
import io.chorale.eval.run.JsonRows;
import io.chorale.eval.run.ModelText;
import io.chorale.eval.run.Sha256;
import io.chorale.text.TemplateException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The loss of right answers given their prompts, in nats per token over all answers: what training
 * calls eval loss. An answer is what the template writes for it up to and with its end token; in
 * the instruction and raw forms its text and an end token.
 */
public final class AnswerLoss implements EvalTask {
  /** A row, read. */
  private record Document(RowPrompt prompt, String answer) {}

  private final String name;
  private final PromptShape shape;
  private final List<Document> documents;

  private AnswerLoss(String name, PromptShape shape, List<Document> documents) {
    this.name = name;
    this.shape = shape;
    this.documents = documents;
  }

  /**
   * Reads rows as {@link AnswerTest} does; of several answers the first counts.
   *
   * @param limit only the first so many rows, 0 for all
   * @throws EvalException naming file, line and what is wrong with it
   */
  public static AnswerLoss read(String name, Path file, PromptShape shape, int limit) {
    List<JsonRows.Row> rows = JsonRows.read(file);
    List<Document> documents = new ArrayList<>();
    for (JsonRows.Row row :
        rows.subList(0, limit == 0 ? rows.size() : Math.min(limit, rows.size()))) {
      RowPrompt prompt = RowPrompt.of(row);
      documents.add(new Document(prompt, answer(row, prompt)));
    }
    return new AnswerLoss(name, shape, documents);
  }

  private static String answer(JsonRows.Row row, RowPrompt prompt) {
    for (String field : new String[] {"output", "completion", "answer", "answers"}) {
      JsonNode value = row.fields().path(field);
      JsonNode first = value.isArray() ? value.path(0) : value;
      if (first.isObject() && first.path("content").isTextual()) {
        return first.get("content").textValue(); // a completion as messages
      }
      if (first.isValueNode() && !first.isNull() && !first.asText().isEmpty()) {
        return first.asText();
      }
    }
    if (prompt.last() == null || prompt.last().isEmpty()) {
      throw new EvalException(row.place() + ": has no answer");
    }
    return prompt.last();
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public List<Question> questions() {
    return documents.stream()
        .map(each -> new Question(each.prompt().place(), each.prompt().question()))
        .toList();
  }

  @Override
  public TaskResult run(EvalEngine engine, EvalListener listener) {
    List<EvalEngine.Span> spans = new ArrayList<>();
    int cut = 0;
    for (Document document : documents) {
      int[] prompt = document.prompt().ids(engine.text(), shape);
      int[] whole = whole(engine.text(), document, prompt);
      int from = from(document, whole, prompt, engine);
      if (whole.length > engine.maxTokens()) {
        whole = Arrays.copyOf(whole, engine.maxTokens());
        cut++;
      }
      if (from >= whole.length) {
        throw new EvalException(
            "%s: the prompt fills the model's context of %d tokens, no answer is left"
                .formatted(document.prompt().place(), engine.maxTokens()));
      }
      for (int c = 0; c < engine.candidates().size(); c++) {
        spans.add(new EvalEngine.Span(whole, from, c, spans.size()));
      }
    }
    List<float[]> scores = engine.score(name + ": answers", spans, listener);
    return result(engine, spans, scores, cut);
  }

  private int[] whole(ModelText model, Document document, int[] prompt) {
    try {
      if (shape == PromptShape.CHAT_TEMPLATE) {
        return chat(model, document);
      }
      int[] answer = model.tokenizer().encode(document.answer(), false);
      int[] whole = Arrays.copyOf(prompt, prompt.length + answer.length + 1);
      System.arraycopy(answer, 0, whole, prompt.length, answer.length);
      whole[whole.length - 1] = end(model);
      return whole;
    } catch (IllegalArgumentException e) {
      throw new EvalException(document.prompt().place() + ": " + e.getMessage(), e);
    }
  }

  private static int end(ModelText model) {
    return model.endTokenIds().stream()
        .mapToInt(Integer::intValue)
        .min()
        .orElseThrow(() -> new EvalException("the model names no token that ends an answer"));
  }

  /** The conversation with its answer, cut after the last end token. */
  private static int[] chat(ModelText model, Document document) {
    List<Map<String, Object>> messages = new ArrayList<>(document.prompt().messages());
    messages.add(Map.of("role", "assistant", "content", document.answer()));
    int[] whole;
    try {
      whole = model.chatPrompt().encode(messages, null, false, Map.of());
    } catch (TemplateException e) {
      throw new EvalException(
          "%s: the chat template fails: %s".formatted(document.prompt().place(), e.getMessage()),
          e);
    }
    for (int i = whole.length - 1; i >= 0; i--) {
      if (model.endTokenIds().contains(whole[i])) {
        return Arrays.copyOf(whole, i + 1);
      }
    }
    return whole;
  }

  /** Where the answer begins: the prompt has to be the conversation's beginning. */
  private static int from(Document document, int[] whole, int[] prompt, EvalEngine engine) {
    int same = Arrays.mismatch(whole, prompt);
    if (same < 0 || same == prompt.length) {
      return prompt.length;
    }
    int[] rest = Arrays.copyOfRange(prompt, same, prompt.length);
    String wanted = engine.text().tokenizer().decode(rest, false);
    String had =
        engine.text().tokenizer().decode(Arrays.copyOfRange(whole, same, whole.length), false);
    if (same > 0 && had.startsWith(wanted)) { // a token reaches over the border, as in training
      return same;
    }
    throw new EvalException(
        "%s: the chat template writes the prompt otherwise once an answer follows, at token %d; --prompt-form instruction does not"
            .formatted(document.prompt().place(), same));
  }

  private TaskResult result(
      EvalEngine engine, List<EvalEngine.Span> spans, List<float[]> scores, int cut) {
    int candidates = engine.candidates().size();
    double[][] losses = new double[candidates][documents.size()];
    double[] tokens = new double[documents.size()];
    List<DocumentRecord> records = new ArrayList<>();
    for (int i = 0; i < scores.size(); i++) {
      int c = i % candidates;
      int d = i / candidates;
      tokens[d] = scores.get(i).length;
      for (float logprob : scores.get(i)) {
        losses[c][d] -= logprob;
      }
      Map<String, Object> fields = new LinkedHashMap<>();
      fields.put("negative_log_likelihood", losses[c][d]);
      fields.put("tokens", tokens[d]);
      int[] prompt = Arrays.copyOf(spans.get(i).ids(), spans.get(i).from());
      records.add(
          new DocumentRecord(
              name,
              documents.get(d).prompt().place(),
              engine.candidates().get(c),
              Sha256.of(Arrays.toString(prompt)),
              fields));
    }
    Map<String, List<Metric>> metrics = new LinkedHashMap<>();
    for (int c = 0; c < candidates; c++) {
      metrics.put(
          engine.candidates().get(c),
          List.of(
              new Metric("loss", false, Transform.RATIO, losses[c], tokens),
              new Metric("token_perplexity", false, Transform.EXP, losses[c], tokens)));
    }
    List<String> notes = new ArrayList<>();
    notes.add("nats per answer token, prompt form " + shape.label());
    if (cut > 0) {
      notes.add("%d answers were cut at the model's context".formatted(cut));
    }
    return new TaskResult(name, "answer-loss", "loss", metrics, records, notes);
  }
}
