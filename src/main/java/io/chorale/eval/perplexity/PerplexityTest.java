package io.chorale.eval.perplexity;

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
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * How well texts are predicted: {@code exp} of the mean negative log-likelihood per token, per word
 * (pieces between blanks) and per UTF-8 byte, and bits per byte. Perplexities per token compare
 * only models with one tokenizer; the others compare all.
 *
 * <p>A document is a row's {@code text}, or a whole text file; in a text file the windows are what
 * intervals are resampled over, words and bytes shared out by tokens.
 */
public final class PerplexityTest implements EvalTask {
  /**
   * How to cut.
   *
   * @param window tokens, 0 for the model's context
   * @param stride tokens, 0 for the window
   * @param limit only the first so many documents, 0 for all
   */
  public record Options(int window, int stride, int limit) {
    public Options {
      if (window < 0 || stride < 0 || limit < 0) {
        throw new IllegalArgumentException(
            "window is %d, stride %d, limit %d, wanted 0 or more".formatted(window, stride, limit));
      }
    }
  }

  /** A text and where it stands. */
  private record Document(String place, String text) {}

  /** A window of a document. */
  private record Piece(int document, Windows.Window window) {}

  private static final Pattern BLANKS =
      Pattern.compile("[\\s\\x1c-\\x1f\\x85]+", Pattern.UNICODE_CHARACTER_CLASS);

  private final String name;
  private final List<Document> documents;
  private final boolean byWindow;
  private final Options options;

  private PerplexityTest(String name, List<Document> documents, boolean byWindow, Options options) {
    this.name = name;
    this.documents = documents;
    this.byWindow = byWindow;
    this.options = options;
  }

  /**
   * @param file JSON Lines with {@code text} if it ends with .jsonl or .json, else plain text
   * @throws EvalException naming file and line
   */
  public static PerplexityTest read(String name, Path file, Options options) {
    String ending = file.getFileName().toString();
    if (!ending.endsWith(".jsonl") && !ending.endsWith(".json")) {
      String text = wholeText(file);
      return new PerplexityTest(name, List.of(new Document(file.toString(), text)), true, options);
    }
    List<Document> documents = new ArrayList<>();
    for (JsonRows.Row row : JsonRows.read(file)) {
      if (!row.fields().path("text").isTextual() || row.fields().get("text").asText().isEmpty()) {
        throw new EvalException(row.place() + ": has no text, wanted a string that is not empty");
      }
      documents.add(new Document(row.place(), row.fields().get("text").textValue()));
    }
    int most = options.limit() == 0 ? documents.size() : options.limit();
    return new PerplexityTest(
        name, documents.subList(0, Math.min(most, documents.size())), false, options);
  }

  private static String wholeText(Path file) {
    try {
      String text = Files.readString(file);
      if (text.isEmpty()) {
        throw new EvalException(file + ": is empty");
      }
      return text;
    } catch (CharacterCodingException e) {
      throw new EvalException(file + ": is no UTF-8 text", e);
    } catch (IOException e) {
      throw new EvalException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public List<Question> questions() {
    return documents.stream().map(each -> new Question(each.place(), each.text())).toList();
  }

  @Override
  public TaskResult run(EvalEngine engine, EvalListener listener) {
    int size = options.window() == 0 ? engine.maxTokens() : options.window();
    if (size > engine.maxTokens()) {
      throw new EvalException(
          "--window is %d, the model's context %d".formatted(size, engine.maxTokens()));
    }
    int stride = options.stride() == 0 ? size : options.stride();
    List<Piece> pieces = pieces(engine.text(), size, stride);
    int candidates = engine.candidates().size();
    List<EvalEngine.Span> spans = new ArrayList<>();
    for (Piece piece : pieces) {
      int[] ids = piece.window().ids();
      for (int c = 0; c < candidates; c++) {
        spans.add(
            new EvalEngine.Span(ids, ids.length - piece.window().predicted(), c, spans.size()));
      }
    }
    List<float[]> scores = engine.score(name + ": windows", spans, listener);
    return result(engine, pieces, scores, "window %d, stride %d tokens".formatted(size, stride));
  }

  private List<Piece> pieces(ModelText model, int size, int stride) {
    int prefix =
        model.bosTokenId() >= 0
            ? model.bosTokenId()
            : model.endTokenIds().stream().mapToInt(Integer::intValue).min().orElse(0);
    List<Piece> pieces = new ArrayList<>();
    for (int d = 0; d < documents.size(); d++) {
      int[] tokens = encode(model, documents.get(d));
      for (Windows.Window window : Windows.of(tokens, prefix, size, stride)) {
        pieces.add(new Piece(d, window));
      }
    }
    return pieces;
  }

  private static int[] encode(ModelText model, Document document) {
    try {
      return model.tokenizer().encode(document.text(), true);
    } catch (IllegalArgumentException e) {
      throw new EvalException(document.place() + ": " + e.getMessage(), e);
    }
  }

  /** Sums by unit: a document, or a window of the only document. */
  private TaskResult result(
      EvalEngine engine, List<Piece> pieces, List<float[]> scores, String note) {
    int candidates = engine.candidates().size();
    int units = byWindow ? pieces.size() : documents.size();
    double[][] losses = new double[candidates][units];
    double[] tokens = new double[units];
    for (int p = 0; p < pieces.size(); p++) {
      int unit = byWindow ? p : pieces.get(p).document();
      tokens[unit] += pieces.get(p).window().predicted();
      for (int c = 0; c < candidates; c++) {
        for (float logprob : scores.get(p * candidates + c)) {
          losses[c][unit] -= logprob;
        }
      }
    }
    double[] words = shared(tokens, true);
    double[] bytes = shared(tokens, false);
    Map<String, List<Metric>> metrics = new LinkedHashMap<>();
    List<DocumentRecord> records = new ArrayList<>();
    for (int c = 0; c < candidates; c++) {
      String candidate = engine.candidates().get(c);
      metrics.put(candidate, metrics(losses[c], tokens, words, bytes));
      for (int u = 0; u < units; u++) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("negative_log_likelihood", losses[c][u]);
        fields.put("tokens", tokens[u]);
        fields.put("words", words[u]);
        fields.put("bytes", bytes[u]);
        String sha = Sha256.of(documents.get(byWindow ? 0 : u).text());
        records.add(new DocumentRecord(name, String.valueOf(u), candidate, sha, fields));
      }
    }
    String by = byWindow ? "intervals over windows of one text" : "intervals over documents";
    return new TaskResult(
        name, "perplexity", "word_perplexity", metrics, records, List.of(note, by));
  }

  private double[] shared(double[] tokens, boolean words) {
    double[] out = new double[tokens.length];
    double all = 0;
    for (double each : tokens) {
      all += each;
    }
    for (int u = 0; u < out.length; u++) {
      String text = documents.get(byWindow ? 0 : u).text();
      double count = words ? words(text) : text.getBytes(StandardCharsets.UTF_8).length;
      out[u] = byWindow ? count * tokens[u] / all : count;
    }
    return out;
  }

  /** {@code len(re.split(r"\s+", text))}. */
  static int words(String text) {
    return 1 + (int) BLANKS.matcher(text).results().count();
  }

  private static List<Metric> metrics(
      double[] losses, double[] tokens, double[] words, double[] bytes) {
    double[] bits = new double[losses.length];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = losses[i] / Math.log(2);
    }
    return List.of(
        new Metric("word_perplexity", false, Transform.EXP, losses, words),
        new Metric("token_perplexity", false, Transform.EXP, losses, tokens),
        new Metric("byte_perplexity", false, Transform.EXP, losses, bytes),
        new Metric("bits_per_byte", false, Transform.RATIO, bits, bytes));
  }
}
