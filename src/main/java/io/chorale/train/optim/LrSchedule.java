package io.chorale.train.optim;

import java.util.Locale;

/**
 * Learning rate of each optimizer step, as transformers' {@code get_scheduler}: a linear climb from
 * 0 over the warm-up steps, then constant, or down to 0 at {@code totalSteps} on a line or half a
 * cosine. The first step of a warm-up has learning rate 0, as there.
 *
 * @param peak learning rate, more than 0
 * @param warmupSteps 0 or more
 */
public record LrSchedule(Kind kind, double peak, int warmupSteps, int totalSteps) {
  /** The curve after the warm-up. */
  public enum Kind {
    COSINE,
    LINEAR,
    CONSTANT;

    /**
     * @throws IllegalArgumentException naming the value and the choices
     */
    public static Kind parse(String value) {
      try {
        return valueOf(value.trim().toUpperCase(Locale.ROOT));
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(
            "schedule is '%s', wanted cosine, linear or constant".formatted(value), e);
      }
    }
  }

  public LrSchedule {
    if (!(peak > 0) || Double.isInfinite(peak)) {
      throw new IllegalArgumentException("lr is %s, wanted more than 0".formatted(peak));
    }
    if (warmupSteps < 0 || totalSteps < 1) {
      throw new IllegalArgumentException(
          "warm-up of %d in %d steps, wanted 0 or more in 1 or more"
              .formatted(warmupSteps, totalSteps));
    }
  }

  /**
   * @param warmup below 1: share of all steps, rounded up; 1 or more: steps
   */
  public static LrSchedule of(Kind kind, double peak, double warmup, int totalSteps) {
    int steps = (int) (warmup < 1 ? Math.ceil(totalSteps * warmup) : warmup);
    return new LrSchedule(kind, peak, steps, totalSteps);
  }

  /**
   * @param step from 0
   */
  public double at(int step) {
    return peak * factor(step);
  }

  private double factor(int step) {
    if (step < warmupSteps) {
      return (double) step / Math.max(1, warmupSteps);
    }
    int falling = Math.max(1, totalSteps - warmupSteps);
    return switch (kind) {
      case CONSTANT -> 1.0;
      case LINEAR -> Math.max(0.0, (double) (totalSteps - step) / falling);
      case COSINE ->
          Math.max(
              0.0, 0.5 * (1.0 + Math.cos(Math.PI * ((double) (step - warmupSteps) / falling))));
    };
  }
}
