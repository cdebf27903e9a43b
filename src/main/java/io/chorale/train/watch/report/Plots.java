package io.chorale.train.watch.report;

import io.chorale.train.watch.RunHistory;
import io.chorale.train.watch.Smoothed;
import io.chorale.train.watch.TrainEvent.Evaluated;
import io.chorale.train.watch.TrainEvent.Retained;
import io.chorale.train.watch.TrainEvent.Started;
import io.chorale.train.watch.TrainEvent.Step;
import io.chorale.train.watch.Verdict;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;

/** A run's history as plots. */
final class Plots {
  private static final double MIB = 1 << 20;

  private Plots() {}

  static String html(RunHistory history, long memoryLimitBytes) {
    List<Step> steps = history.steps();
    double[] x = steps.stream().mapToDouble(Step::step).toArray();
    int total = history.started().map(Started::totalSteps).orElse(steps.size());
    StringBuilder html = new StringBuilder("<div class=\"plots\">\n");
    html.append(losses(history, steps, x, total));
    if (!history.retained().isEmpty()) {
      html.append(divergence(history.retained()));
    }
    html.append(
        new Plot("Learning rate", "", false)
            .curve(new Curve("learning rate", "smooth", x, of(steps, Step::learningRate)))
            .html("lr"));
    html.append(
        new Plot("Gradient norm", "before clipping", true)
            .curve(new Curve("each step", "raw", x, of(steps, Step::gradNorm)))
            .curve(new Curve("smoothed", "smooth", x, smoothed(steps, Step::gradNorm, total)))
            .html("norm"));
    html.append(memory(history, steps, x, memoryLimitBytes));
    double[] speed = of(steps, s -> s.stepMs() > 0 ? s.tokens() * 1e3 / s.stepMs() : Double.NaN);
    html.append(
        new Plot("Throughput", "real tokens per second, evaluations left out", false)
            .curve(new Curve("each step", "raw", x, speed))
            .curve(
                new Curve(
                    "smoothed",
                    "smooth",
                    x,
                    smoothed(
                        steps, s -> s.stepMs() > 0 ? s.tokens() * 1e3 / s.stepMs() : 0, total)))
            .html("speed"));
    return html.append("</div>\n").toString();
  }

  private static String losses(RunHistory history, List<Step> steps, double[] x, int total) {
    List<Evaluated> evaluations = history.evaluations();
    Plot plot =
        new Plot("Loss", "nats per trained token", false, 960)
            .curve(new Curve("each step", "raw", x, of(steps, Step::loss)))
            .curve(new Curve("training, smoothed", "smooth", x, smoothed(steps, Step::loss, total)))
            .curve(
                new Curve(
                    "held out",
                    "eval",
                    evaluations.stream().mapToDouble(Evaluated::step).toArray(),
                    evaluations.stream().mapToDouble(Evaluated::loss).toArray()));
    for (Verdict verdict : history.verdicts()) {
      plot.mark(
          verdict.step(),
          "step %d: %s%s"
              .formatted(
                  verdict.step(), verdict.raised() ? "" : "no longer ", verdict.kind().label()));
    }
    return plot.html("loss");
  }

  private static String divergence(List<Retained> retained) {
    double[] at = retained.stream().mapToDouble(Retained::step).toArray();
    double[] nats = retained.stream().mapToDouble(Retained::divergence).toArray();
    return new Plot("Distance from the base", "KL on retained rows, nats per token", false)
        .curve(new Curve("each step", "smooth", at, nats))
        .html("divergence");
  }

  private static String memory(RunHistory history, List<Step> steps, double[] x, long limitBytes) {
    Plot plot =
        new Plot("Memory", "resident, MiB", false)
            .curve(new Curve("resident", "smooth", x, of(steps, s -> s.residentBytes() / MIB)));
    long planned = history.started().map(Started::plannedPeakBytes).orElse(0L);
    if (x.length > 0 && planned > 0) {
      plot.curve(flat("planned peak", "limit", x, planned / MIB));
    }
    if (x.length > 0
        && limitBytes > 0
        && limitBytes < 4 * Math.max(1, history.peakResidentBytes())) {
      plot.curve(flat("limit", "bound", x, limitBytes / MIB));
    }
    return plot.html("memory");
  }

  private static Curve flat(String name, String style, double[] x, double value) {
    return new Curve(
        name, style, new double[] {x[0], x[x.length - 1]}, new double[] {value, value});
  }

  private static double[] of(List<Step> steps, ToDoubleFunction<Step> value) {
    return steps.stream().mapToDouble(value).toArray();
  }

  private static double[] smoothed(List<Step> steps, ToDoubleFunction<Step> value, int total) {
    Smoothed mean = Smoothed.ofRun(total);
    double[] means = new double[steps.size()];
    Arrays.setAll(
        means, i -> mean.add(value.applyAsDouble(steps.get(i)), steps.get(i).trainedTokens()));
    return means;
  }
}
