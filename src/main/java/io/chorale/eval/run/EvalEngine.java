package io.chorale.eval.run;

import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRef;
import io.chorale.engine.EngineLoop;
import io.chorale.engine.GenerationRequest;
import io.chorale.engine.ModelRunner;
import io.chorale.eval.EvalException;
import io.chorale.eval.EvalListener;
import io.chorale.kernel.Kernels;
import io.chorale.kernel.Ops;
import io.chorale.lora.LoraWeights;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.CausalLm;
import io.chorale.model.ModelSpec;
import io.chorale.model.StepLimits;
import io.chorale.model.WeightLoader;
import io.chorale.sched.SchedulerOptions;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A running engine over one base and the adapters to compare. Candidate 0 is the base alone,
 * candidate {@code i} the {@code i}-th adapter; all of them share batches.
 *
 * <p>One thread at a time. Closing it ends the engine thread and frees memory.
 */
public final class EvalEngine implements AutoCloseable {
  /** The candidate that is the base without any adapter. */
  public static final int BASE = 0;

  private static final int LOGIT_ROWS = 32;
  private static final int BLOCK_TOKENS = 16;
  private static final long DRAIN_MS = 100;

  private final EngineLoop loop;
  private final ModelText text;
  private final ModelSpec spec;
  private final List<String> candidates;
  private final String kernels;
  private final int window;
  private final int maxTokens;

  private EvalEngine(
      EngineLoop loop,
      ModelText text,
      ModelSpec spec,
      List<String> candidates,
      String kernels,
      int window) {
    this.loop = loop;
    this.text = text;
    this.spec = spec;
    this.candidates = candidates;
    this.kernels = kernels;
    this.window = window;
    this.maxTokens = Math.min(spec.maxPositions(), loop.maxModelTokens() - 2);
  }

  /**
   * Loads weights and adapters and starts the engine thread; takes seconds.
   *
   * @param baseName what the base alone is called
   * @param adapters folders or files by the name they are told by, in the order of the table
   * @throws io.chorale.adapter.AdapterException if an adapter does not fit the base
   * @throws EvalException if the memory for KV pages is too small
   */
  public static EvalEngine open(
      BaseModelFiles files,
      ModelText text,
      String baseName,
      Map<String, Path> adapters,
      EngineSettings settings,
      EvalListener listener) {
    List<LoraWeights> weights = new ArrayList<>();
    List<String> names = new ArrayList<>(List.of(baseName));
    AdapterLoader loader =
        new AdapterLoader(files.spec(), files.fingerprint(), AdapterLoader.DEFAULT_MAX_BYTES);
    adapters.forEach(
        (name, path) -> {
          weights.add(loader.load(new AdapterRef(name, 1), path).weights());
          names.add(name);
        });
    Ops ops = Kernels.choose(settings.kernels(), settings.device(), settings.threads());
    int layers = files.spec().layers();
    CausalLm model =
        new WeightLoader(files, ops)
            .load(
                new StepLimits(settings.maxBatchTokens(), LOGIT_ROWS),
                done -> listener.at("loading weights", done, layers));
    SchedulerOptions options = options(files.spec(), ops, settings, weights.size());
    EngineLoop loop =
        new EngineLoop(
            options,
            new ModelRunner(model, weights::get, options.blocks(), BLOCK_TOKENS, weights.size(), 0),
            new EngineLoop.Options(Integer.MAX_VALUE, DRAIN_MS));
    return new EvalEngine(
        loop, text, files.spec(), List.copyOf(names), ops.name(), 2 * settings.maxRunning());
  }

  private static SchedulerOptions options(
      ModelSpec spec, Ops ops, EngineSettings settings, int adapters) {
    long positionBytes = (long) spec.layers() * ops.kvPositionBytes(spec.kvHeads(), spec.headDim());
    long blocks = settings.kvMemoryBytes() / (positionBytes * BLOCK_TOKENS);
    if (blocks < 4) {
      throw new EvalException(
          "KV memory is %d bytes, wanted at least four blocks of %d positions, %d bytes"
              .formatted(settings.kvMemoryBytes(), BLOCK_TOKENS, 4 * positionBytes * BLOCK_TOKENS));
    }
    return new SchedulerOptions(
        settings.maxBatchTokens(),
        settings.maxRunning(),
        BLOCK_TOKENS,
        (int) Math.min(blocks, Integer.MAX_VALUE / BLOCK_TOKENS),
        adapters,
        // Scoring the token after a full context takes a row that no answer needs, and one more.
        spec.maxPositions() + 2,
        settings.maxBatchTokens(),
        true);
  }

  public ModelText text() {
    return text;
  }

  public ModelSpec spec() {
    return spec;
  }

  /** Names by candidate: base, then the adapters. */
  public List<String> candidates() {
    return candidates;
  }

  /** What computes, for the report. */
  public String kernels() {
    return kernels;
  }

  /** The model's context: prompt and answer together, in tokens. */
  public int maxTokens() {
    return maxTokens;
  }

  /**
   * Generates greedily, many at a time.
   *
   * @return an answer per prompt, in order
   * @throws EvalException if a step of the engine fails
   */
  public List<Answer> generate(String what, List<Prompt> prompts, EvalListener listener) {
    return new GenerateBatch(loop, text, window, prompts).run(what, listener);
  }

  /**
   * Scores token sequences, many at a time. The first of a family runs before its others, so that
   * these find what they share in the prefix cache.
   *
   * @return per span the natural-log probability of {@code ids[from ..]}, in order
   * @throws EvalException if a step of the engine fails
   */
  public List<float[]> score(String what, List<Span> spans, EvalListener listener) {
    return new ScoreBatch(loop, window, spans).run(what, listener);
  }

  static int adapterKey(int candidate) {
    return candidate == BASE ? GenerationRequest.BASE : candidate - 1;
  }

  @Override
  public void close() {
    loop.close();
  }

  /**
   * A text to continue.
   *
   * @param ids at least one
   * @param candidate 0 is the base
   * @param maxTokens at most so many new tokens
   * @param stops strings that end the answer and are cut off
   */
  public record Prompt(int[] ids, int candidate, int maxTokens, List<String> stops) {}

  /**
   * What was generated.
   *
   * @param text without special tokens
   * @param tokens generated
   * @param ended the model or a stop string ended it, not the limit
   */
  public record Answer(String text, int tokens, boolean ended) {}

  /**
   * Tokens whose likelihood is asked for.
   *
   * @param ids at least two
   * @param from the first scored position, 1 .. ids.length - 1
   * @param candidate 0 is the base
   * @param family spans that begin alike have the same number
   */
  public record Span(int[] ids, int from, int candidate, long family) {
    public Span {
      if (from < 1 || from >= ids.length) {
        throw new IllegalArgumentException(
            "span is scored from %d of %d tokens, wanted 1 .. %d"
                .formatted(from, ids.length, ids.length - 1));
      }
    }
  }
}
