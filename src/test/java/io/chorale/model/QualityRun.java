package io.chorale.model;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.chorale.kernel.ForwardInputs;
import io.chorale.kernel.Kernels;
import io.chorale.kernel.KvPages;
import io.chorale.kernel.LoraTable;
import io.chorale.kernel.NativeLibrary;
import io.chorale.kernel.NativeOps;
import io.chorale.kernel.Ops;
import io.chorale.kernel.Precision;
import io.chorale.kernel.Precision.KvCache;
import io.chorale.kernel.Precision.Nf4;
import io.chorale.text.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.zip.GZIPInputStream;

/**
 * What rounding costs on a fixed text, against libtorch's float32 arithmetic on the same weights:
 * {@code QualityRun <model.gguf> <Hugging Face folder> <text.gz> <tokens> <out.json>}. A program,
 * not a test; {@code benchmarks/quality/run.sh} calls it.
 */
final class QualityRun {
  private static final int BLOCK = 16;
  private static final int WINDOW = 1024;
  private static final int THREADS = 2;

  /** Sums over scored positions, in nats. */
  private static final class Score {
    final String name;
    double loss;
    double extra; // loss beyond the exact path's
    double extraSquared;
    double divergence; // KL(exact, this)
    long same; // favourites
    long count;

    Score(String name) {
      this.name = name;
    }

    synchronized void add(double nll, double exactNll, double kl, boolean sameFavourite) {
      loss += nll;
      extra += nll - exactNll;
      extraSquared += (nll - exactNll) * (nll - exactNll);
      divergence += kl;
      same += sameFavourite ? 1 : 0;
      count++;
    }

    Map<String, Object> json() {
      double mean = extra / count;
      double deviation = Math.sqrt(Math.max(0, extraSquared / count - mean * mean));
      Map<String, Object> out = new LinkedHashMap<>();
      out.put("kernels", name);
      out.put("perplexity", rounded(Math.exp(loss / count)));
      out.put("extra_nats_a_token", rounded(mean));
      out.put("extra_standard_error", rounded(deviation / Math.sqrt(count)));
      out.put("divergence_nats", rounded(divergence / count));
      out.put("same_favourite", rounded((double) same / count));
      out.put("positions", count);
      return out;
    }

    private static double rounded(double value) {
      return Math.round(value * 1e6) / 1e6;
    }
  }

  /** A model with its pages. */
  private record Loaded(CausalLm model, KvPages pages, LoraTable lora) {
    static Loaded of(Path base, Quantization quantization, Ops ops) throws IOException {
      try (BaseModelFiles files = BaseModelFiles.open(base, quantization)) {
        CausalLm model = new WeightLoader(files, ops).load(new StepLimits(512, 64), layer -> {});
        return new Loaded(model, model.kvPages(WINDOW), model.loraTable(1));
      }
    }

    /** Logits [ids][vocab] of one window, from an empty cache. */
    void logits(int[] ids, float[][] into) {
      for (int start = 0; start < ids.length; start += 512) {
        int from = start;
        int count = Math.min(512, ids.length - start);
        model.forward(
            inputs(ids, start, count),
            lora,
            pages,
            (first, rows, logits) -> {
              int vocab = model.spec().vocab();
              for (int i = 0; i < rows; i++) {
                System.arraycopy(logits, i * vocab, into[from + first + i], 0, vocab);
              }
            });
      }
    }

    void close() {
      lora.close();
      pages.close();
    }
  }

  public static void main(String[] args) throws IOException {
    Path gguf = Path.of(args[0]);
    Path folder = Path.of(args[1]);
    int[] ids = ids(folder, Path.of(args[2]), Integer.parseInt(args[3]));
    Precision exact = Precision.DEFAULT;
    List<Map<String, Object>> groups = new ArrayList<>();
    groups.add(
        group(
            "Q4_1 file",
            gguf,
            Quantization.NONE,
            ids,
            List.of(exact, new Precision(KvCache.Q8, Nf4.EXACT))));
    groups.add(
        group(
            "NF4 made at load",
            folder,
            Quantization.NF4,
            ids,
            List.of(
                exact, new Precision(KvCache.F16, Nf4.FAST), new Precision(KvCache.Q8, Nf4.FAST))));
    groups.add(group("full precision", folder, Quantization.NONE, ids, List.of()));
    Map<String, Object> out = new LinkedHashMap<>();
    out.put("text", Path.of(args[2]).getFileName().toString());
    out.put("tokens", ids.length);
    out.put("window", WINDOW);
    out.put("instruction_set", NativeLibrary.chosen().label());
    out.put("weights", groups);
    new ObjectMapper()
        .enable(SerializationFeature.INDENT_OUTPUT)
        .writeValue(Path.of(args[4]).toFile(), out);
  }

  private static int[] ids(Path folder, Path text, int most) throws IOException {
    Tokenizer tokenizer = Tokenizer.fromJson(folder.resolve("tokenizer.json"));
    try (InputStream in = new GZIPInputStream(Files.newInputStream(text))) {
      int[] all = tokenizer.encode(new String(in.readAllBytes(), StandardCharsets.UTF_8), false);
      return Arrays.copyOf(all, Math.min(all.length, most));
    }
  }

  private static Map<String, Object> group(
      String weights, Path base, Quantization quantization, int[] ids, List<Precision> precisions)
      throws IOException {
    Ops torch = Kernels.choose("torch", "cpu", THREADS);
    List<Score> scores = new ArrayList<>();
    List<Loaded> models = new ArrayList<>();
    try (Ops.ThreadBinding binding = torch.bindThread()) {
      scores.add(new Score("libtorch, float32"));
      models.add(Loaded.of(base, quantization, torch));
      for (Precision precision : precisions) {
        NativeOps ops = new NativeOps(NativeLibrary.chosen(), THREADS, precision);
        scores.add(new Score("native, " + named(precision)));
        models.add(Loaded.of(base, quantization, ops));
      }
      score(models, ids, scores);
    }
    models.forEach(Loaded::close);
    Map<String, Object> out = new LinkedHashMap<>();
    out.put("weights", weights);
    out.put("runs", scores.stream().map(Score::json).toList());
    return out;
  }

  private static String named(Precision precision) {
    return (precision.nf4() == Nf4.FAST ? "nf4=fast, " : "")
        + "kv-cache="
        + precision.kvCache().name().toLowerCase(Locale.ROOT);
  }

  private static void score(List<Loaded> models, int[] ids, List<Score> scores) {
    int vocab = models.get(0).model().spec().vocab();
    float[][] exact = new float[WINDOW][vocab];
    float[][] other = new float[WINDOW][vocab];
    for (int start = 0; start + 1 < ids.length; start += WINDOW) {
      int[] window = Arrays.copyOfRange(ids, start, Math.min(ids.length, start + WINDOW));
      for (int i = 0; i < models.size(); i++) {
        float[][] logits = i == 0 ? exact : other;
        models.get(i).logits(window, logits);
        Score score = scores.get(i);
        IntStream.range(0, window.length - 1)
            .parallel()
            .forEach(row -> compare(exact[row], logits[row], window[row + 1], score));
      }
      System.out.printf(
          "%d of %d tokens: %s%n",
          start + window.length, ids.length, scores.stream().map(Score::json).toList());
    }
  }

  private static void compare(float[] exact, float[] other, int next, Score score) {
    double exactNorm = logSum(exact);
    double norm = logSum(other);
    double kl = 0;
    for (int id = 0; other != exact && id < exact.length; id++) {
      double logprob = exact[id] - exactNorm;
      kl += Math.exp(logprob) * (logprob - (other[id] - norm));
    }
    score.add(norm - other[next], exactNorm - exact[next], kl, best(exact) == best(other));
  }

  private static double logSum(float[] logits) {
    double most = logits[best(logits)];
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - most);
    }
    return most + Math.log(sum);
  }

  private static int best(float[] logits) {
    int best = 0;
    for (int id = 1; id < logits.length; id++) {
      best = logits[id] > logits[best] ? id : best;
    }
    return best;
  }

  private static ForwardInputs inputs(int[] ids, int start, int count) {
    return new ForwardInputs(
        Arrays.copyOfRange(ids, start, start + count),
        IntStream.range(start, start + count).toArray(),
        IntStream.range(0, count).map(i -> LoraTable.NO_LORA).toArray(),
        new int[] {0},
        new int[] {count},
        new int[][] {IntStream.range(0, WINDOW / BLOCK).toArray()},
        BLOCK,
        IntStream.range(0, count).toArray());
  }
}
