package io.chorale.train.watch.screen;

import io.chorale.train.watch.Smoothed;
import io.chorale.train.watch.TrainEvent;
import io.chorale.train.watch.TrainEvent.CheckpointSaved;
import io.chorale.train.watch.TrainEvent.Evaluated;
import io.chorale.train.watch.TrainEvent.Started;
import io.chorale.train.watch.TrainEvent.Step;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** What the screen says, without where and how. One thread at a time. */
final class ScreenLines {
  private static final int SPARK = 600;

  private final boolean unicode;
  private final TimeLeft timeLeft = new TimeLeft();
  private final double[] curve = new double[SPARK];
  private final Smoothed tokensPerSecond = new Smoothed(10);
  private final Smoothed trainedPerSecond = new Smoothed(10);
  private Started started;
  private Step step;
  private Smoothed loss = Smoothed.ofRun(1);
  private int points;
  private int stride = 1;
  private TrainEvent.Retained retained;
  private Evaluated evaluated;
  private Evaluated best;
  private CheckpointSaved saved;
  private long peakBytes;
  private long beginMs;
  private long stepAtMs;

  /**
   * @param unicode what is printed to can show block elements
   */
  ScreenLines(boolean unicode) {
    this.unicode = unicode;
  }

  void on(TrainEvent event, long nowMs) {
    if (event instanceof Started e) {
      started = e;
      loss = Smoothed.ofRun(e.totalSteps());
      beginMs = nowMs;
      stepAtMs = nowMs;
    } else if (event instanceof Step e) {
      step = e;
      stepAtMs = nowMs;
      timeLeft.step(e.stepMs());
      tokensPerSecond.add(e.tokens() * 1e3 / e.stepMs(), e.stepMs());
      trainedPerSecond.add(e.trainedTokens() * 1e3 / e.stepMs(), e.stepMs());
      peakBytes = Math.max(peakBytes, e.residentBytes());
      point(loss.add(e.loss(), e.trainedTokens()), e.step());
    } else if (event instanceof TrainEvent.Retained e) {
      retained = e;
    } else if (event instanceof Evaluated e) {
      evaluated = e;
      best = best == null || e.loss() < best.loss() ? e : best;
      timeLeft.pause(e.ms());
      stepAtMs = nowMs;
    } else if (event instanceof CheckpointSaved e) {
      saved = e;
      timeLeft.pause(e.ms());
      stepAtMs = nowMs;
    }
  }

  /** Keeps at most {@value #SPARK} points of the whole run: every second, then every fourth, ... */
  private void point(double value, int at) {
    if (at % stride != 0) {
      return;
    }
    if (points == SPARK) {
      for (int i = 0; i < SPARK / 2; i++) {
        curve[i] = curve[2 * i + 1];
      }
      points = SPARK / 2;
      stride *= 2;
    }
    curve[points++] = value;
  }

  /** The lines to repaint, each at most {@code width} characters. */
  List<String> lines(int width, long nowMs) {
    if (started == null) {
      return List.of();
    }
    List<String> lines = new ArrayList<>();
    lines.add(title());
    lines.add(progress(width));
    lines.add(times(nowMs));
    if (step != null) {
      String numbers = lossText();
      int room = Math.max(0, Math.min(40, width - numbers.length() - 2));
      lines.add(numbers + "  " + Sparkline.of(Arrays.copyOf(curve, points), room, unicode));
      lines.add(evalText());
      lines.add(speedText());
      lines.add(memoryText());
    }
    return lines.stream().map(line -> cut(line, width)).toList();
  }

  /** All that matters of the newest step in one line. */
  String plain(long nowMs) {
    if (step == null) {
      return evaluated == null
          ? "no step yet"
          : format("eval %.4f before the first step", evaluated.loss());
    }
    return format(
        "step %d/%d  epoch %.2f  loss %.4f  lr %.3g  grad %.3g  %.0f tok/s  %s  left %s%s",
        step.step(),
        started.totalSteps(),
        step.epoch(),
        loss.value(),
        step.learningRate(),
        step.gradNorm(),
        tokensPerSecond.value(),
        bytes(step.residentBytes()),
        duration(leftMs(nowMs)),
        (retained == null ? "" : format("  from base %.3g", retained.divergence()))
            + (evaluated == null
                ? ""
                : format("  eval %.4f at %d", evaluated.loss(), evaluated.step())));
  }

  String title() {
    String method = started.configuration().getOrDefault("method", "");
    String rank = started.configuration().getOrDefault("rank", "");
    return format(
        "training %s%s%s, %,d of %,d parameters (%.2f %%)%s",
        started.name(),
        method.isEmpty() ? "" : ": " + method,
        rank.isEmpty() ? "" : " r=" + rank,
        started.trainableParameters(),
        started.allParameters(),
        100.0 * started.trainableParameters() / Math.max(1, started.allParameters()),
        started.firstStep() > 0 ? ", resumed after step " + started.firstStep() : "");
  }

  private int done() {
    return step == null ? started.firstStep() : step.step();
  }

  private String progress(int width) {
    double share = (double) done() / Math.max(1, started.totalSteps());
    String after =
        format("  %5.1f %%  step %d/%d", 100 * share, done(), started.totalSteps())
            + (step == null ? "" : format("  epoch %.2f", step.epoch()));
    int room = Math.max(5, Math.min(50, width - after.length()));
    int full = (int) Math.min(room, Math.round(share * room));
    return (unicode ? "█" : "#").repeat(full) + (unicode ? "░" : ".").repeat(room - full) + after;
  }

  private String times(long nowMs) {
    String elapsed = "elapsed " + duration(nowMs - beginMs);
    if (step == null) {
      return elapsed + "   first step ...";
    }
    return elapsed
        + "   left "
        + duration(leftMs(nowMs))
        + format("   %.2f s/step", timeLeft.stepMs() / 1e3)
        + (saved == null ? "" : format("   saved at %d", saved.step()));
  }

  private double leftMs(long nowMs) {
    double left = timeLeft.leftMs(started.totalSteps() - done());
    return Math.max(0, left - Math.min(timeLeft.stepMs(), nowMs - stepAtMs));
  }

  private String lossText() {
    return format("train loss %.4f (this step %.4f)", loss.value(), step.loss());
  }

  private String evalText() {
    String loss =
        evaluated == null
            ? "eval loss  none yet"
            : format(
                "eval loss  %.4f at step %d, best %.4f at %d",
                evaluated.loss(), evaluated.step(), best.loss(), best.step());
    return loss + divergenceText();
  }

  private String divergenceText() {
    return retained == null
        ? ""
        : format("   from the base %.3g nats/token", retained.divergence());
  }

  private String speedText() {
    return format(
        "lr %.3g   gradient norm %.3g   %.0f tokens/s, %.0f of them trained",
        step.learningRate(), step.gradNorm(), tokensPerSecond.value(), trainedPerSecond.value());
  }

  private String memoryText() {
    String planned =
        started.plannedPeakBytes() <= 0
            ? ""
            : format(
                ", planned %s (%.0f %% of it)",
                bytes(started.plannedPeakBytes()), 100.0 * peakBytes / started.plannedPeakBytes());
    return "memory "
        + bytes(step.residentBytes())
        + " now, "
        + bytes(peakBytes)
        + " peak"
        + planned;
  }

  static String bytes(long bytes) {
    double mib = bytes / 1048576.0;
    return mib < 1000 ? format("%.0f MiB", mib) : format("%.2f GiB", mib / 1024);
  }

  /** {@code 4:05}, {@code 1:04:05}, {@code 2 d 3 h}; {@code ?} if unknown. */
  static String duration(double ms) {
    if (Double.isNaN(ms)) {
      return "?";
    }
    long s = Math.round(ms / 1e3);
    if (s >= 2 * 86400) {
      return format("%d d %d h", s / 86400, s % 86400 / 3600);
    }
    return s >= 3600
        ? format("%d:%02d:%02d", s / 3600, s % 3600 / 60, s % 60)
        : format("%d:%02d", s / 60, s % 60);
  }

  private static String cut(String line, int width) {
    return line.length() <= width ? line : line.substring(0, Math.max(0, width));
  }

  static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
