package io.chorale.train.watch.verdict;

import io.chorale.train.watch.TrainEvent.NotFinite;
import io.chorale.train.watch.TrainEvent.Step;
import io.chorale.train.watch.Verdict.Kind;

/** Judges what each step reports beside its loss: signal, finite numbers, gradient, memory. */
final class SignalJudge {
  /** Gradient norms of healthy fine-tuning lie between 0.1 and 10. */
  private static final double WILD_GRADIENT = 100;

  private static final int RECENT = 10;
  private static final int REFERENCE = 100;
  private static final double NEAR = 0.92;
  private static final double FAR = 0.85;

  private final Bench bench;
  private final Series norms = new Series();
  private final long memoryLimitBytes;

  SignalJudge(Bench bench, long memoryLimitBytes) {
    this.bench = bench;
    this.memoryLimitBytes = memoryLimitBytes;
    bench.patience(Kind.ZERO_SIGNAL, 2, 3);
    bench.patience(Kind.GRADIENT_EXPLODING, 1, RECENT);
    bench.patience(Kind.MEMORY_NEAR_LIMIT, 1, 5);
  }

  void step(Step s) {
    boolean silent = s.trainedTokens() == 0 || s.loss() == 0 || s.gradNorm() == 0;
    bench.observe(
        Kind.ZERO_SIGNAL,
        silent,
        !silent,
        s.step(),
        Bench.evidence(
            "trainedTokens", s.trainedTokens(), "loss", s.loss(), "gradNorm", s.gradNorm()),
        "nothing is learnt: %.0f trained tokens, loss %.4f, gradient norm %.3g",
        "there is a signal: %.0f trained tokens, loss %.4f, gradient norm %.3g");
    boolean finite = Double.isFinite(s.loss()) && Double.isFinite(s.gradNorm());
    bench.observe(
        Kind.NOT_FINITE,
        !finite,
        false,
        s.step(),
        Bench.evidence(
            "loss", s.loss(), "gradNorm", s.gradNorm(), "learningRate", s.learningRate()),
        "loss %f, gradient norm %f, at learning rate %.3g",
        "");
    if (finite) {
      gradient(s);
    }
    memory(s);
  }

  /** Three of the last ten steps: one wild batch is clipped and forgotten. */
  private void gradient(Step s) {
    norms.add(s.gradNorm());
    int n = norms.size();
    double usual = norms.median(n - RECENT - REFERENCE, n - RECENT);
    double bound =
        n < 2 * RECENT ? WILD_GRADIENT : Math.max(10, Math.min(WILD_GRADIENT, 10 * usual));
    int wild = norms.above(bound, RECENT);
    bench.observe(
        Kind.GRADIENT_EXPLODING,
        wild >= 3,
        norms.above(bound / 2, RECENT) == 0,
        s.step(),
        Bench.evidence("gradNorm", s.gradNorm(), "stepsOfTen", wild, "bound", bound),
        "gradient norm %.3g, in %.0f of the last ten steps above %.3g",
        "gradient norm %.3g again, in %.0f of the last ten steps above %.3g");
  }

  private void memory(Step s) {
    if (memoryLimitBytes <= 0) {
      return;
    }
    double share = (double) s.residentBytes() / memoryLimitBytes;
    bench.observe(
        Kind.MEMORY_NEAR_LIMIT,
        share > NEAR,
        share < FAR,
        s.step(),
        Bench.evidence(
            "residentMiB", s.residentBytes() / 1048576.0, "limitMiB", memoryLimitBytes / 1048576.0),
        "%.0f MiB resident of the %.0f MiB there are",
        "%.0f MiB resident of %.0f MiB");
  }

  void notFinite(NotFinite e) {
    String rows = e.sources().isEmpty() ? "rows unknown" : String.join(", ", e.sources());
    bench.observe(
        Kind.NOT_FINITE,
        true,
        false,
        e.step(),
        Bench.evidence("step", e.step(), "rows", e.sources().size()),
        "%s in the batch of step %%.0f with %%.0f rows: %s"
            .formatted(escaped(e.what()), escaped(rows)),
        "");
  }

  /** What is not ours becomes part of a format. */
  private static String escaped(String text) {
    return text.replace("%", "%%");
  }
}
