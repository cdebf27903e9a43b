package io.chorale.train.watch.screen;

import java.util.Arrays;

/**
 * How long a run will still take. A step counts as the mean of the last {@value #WINDOW}, each
 * pulled in to three times their median, without the first two of the process (they warm up);
 * evaluations and checkpoints come on top, as often as they have come so far. One thread.
 */
final class TimeLeft {
  private static final int WINDOW = 50;
  private static final int WARM_UP = 2;

  private final double[] recent = new double[WINDOW];
  private int steps;
  private int kept;
  private double pausesMs;

  void step(double ms) {
    if (++steps == WARM_UP + 1) {
      kept = 0;
    }
    recent[kept++ % WINDOW] = ms;
  }

  void pause(double ms) {
    pausesMs += ms;
  }

  /** Milliseconds of one step, pauses left out; NaN before the first. */
  double stepMs() {
    int known = Math.min(WINDOW, kept);
    if (known == 0) {
      return Double.NaN;
    }
    double[] sorted = Arrays.copyOf(recent, known);
    Arrays.sort(sorted);
    double bound = 3 * sorted[known / 2];
    double sum = 0;
    for (double ms : sorted) {
      sum += Math.min(bound, ms);
    }
    return sum / known;
  }

  /** Milliseconds for so many more steps; NaN before the first. */
  double leftMs(int stepsLeft) {
    return stepsLeft * (stepMs() + (steps == 0 ? 0 : pausesMs / steps));
  }
}
