package io.chorale.train.watch.verdict;

import io.chorale.train.watch.TrainEvent;
import io.chorale.train.watch.TrainEvent.Evaluated;
import io.chorale.train.watch.TrainEvent.Started;
import io.chorale.train.watch.TrainEvent.Step;
import io.chorale.train.watch.Verdict;
import io.chorale.train.watch.Verdict.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.IntToDoubleFunction;

/** Makes runs and collects what is said of them. */
final class Curves {
  private static final Map<String, String> CONFIGURATION =
      Map.of("lr", "0.0002", "epochs", "3", "batch-size", "4", "warmup", "0.03", "rank", "16");

  private Curves() {}

  static Started started(int totalSteps) {
    return new Started("test", CONFIGURATION, Map.of(), 1, 1, totalSteps, 0, 0);
  }

  static Step step(int step, double loss, double gradNorm) {
    return new Step(step, 0.5, loss, 1e-4, gradNorm, 100, 80, 1000, 1 << 20);
  }

  static List<Verdict> judge(List<TrainEvent> events) {
    Verdicts verdicts = new Verdicts(0);
    List<Verdict> all = new ArrayList<>();
    events.forEach(event -> all.addAll(verdicts.on(event)));
    return all;
  }

  /** A run whose losses are given, with an evaluation every tenth of it if {@code eval} is. */
  static List<TrainEvent> run(int total, IntToDoubleFunction loss, IntToDoubleFunction eval) {
    List<TrainEvent> events = new ArrayList<>();
    events.add(started(total));
    for (int s = 1; s <= total; s++) {
      events.add(step(s, loss.applyAsDouble(s), 0.5));
      if (eval != null && s % Math.max(1, total / 10) == 0) {
        events.add(new Evaluated(s, 0.5, eval.applyAsDouble(s), false, 1));
      }
    }
    return events;
  }

  /** Falls from {@code from} to {@code to}, most of it early. */
  static double falling(double from, double to, int step, int total) {
    return to + (from - to) * Math.exp(-8.0 * step / total);
  }

  /** Noise as batches have it: skewed, with a rare row that is far off. */
  static double noise(Random random, double sigma) {
    double skewed = Math.exp(0.5 * random.nextGaussian()) - 1.13;
    double rare = random.nextInt(60) == 0 ? 4 * sigma : 0;
    return sigma * (0.7 * random.nextGaussian() + 0.5 * skewed) + rare;
  }

  static List<Kind> raised(List<Verdict> verdicts) {
    return verdicts.stream().filter(Verdict::raised).map(Verdict::kind).toList();
  }
}
