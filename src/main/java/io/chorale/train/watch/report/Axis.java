package io.chorale.train.watch.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * One axis: which numbers it spans, where they lie, and its ticks at 1, 2 or 5 times a power of ten
 * (at powers of ten alone on a logarithmic one that spans several).
 *
 * @param low shown at 0
 * @param high shown at 1, above {@code low}
 * @param log by powers of ten; {@code low} is above 0 then
 */
record Axis(double low, double high, boolean log) {
  /** Spans the values with a little air; a single value gets room around it. */
  static Axis around(double least, double most, boolean log) {
    if (!Double.isFinite(least) || !Double.isFinite(most)) {
      return new Axis(0, 1, false);
    }
    if (log && least > 0) {
      return new Axis(least / 1.2, most * 1.2, true);
    }
    double air = most > least ? 0.05 * (most - least) : Math.max(Math.abs(most) * 0.1, 1e-9);
    double low = least - air;
    return new Axis(least >= 0 && low < 0 ? 0 : low, most + air, false);
  }

  /** Where a value lies, 0 to 1 inside the span. */
  double at(double value) {
    return log
        ? (Math.log(value) - Math.log(low)) / (Math.log(high) - Math.log(low))
        : (value - low) / (high - low);
  }

  /** About {@code wanted} values that are good to read. */
  List<Double> ticks(int wanted) {
    List<Double> ticks = new ArrayList<>();
    if (log) {
      for (int power = (int) Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
        for (int digit : Math.log10(high / low) > 2 ? new int[] {1} : new int[] {1, 2, 5}) {
          addInside(ticks, digit * Math.pow(10, power));
        }
      }
      return ticks;
    }
    double step = step((high - low) / wanted);
    for (long i = (long) Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) {
      ticks.add(i * step);
    }
    return ticks;
  }

  private void addInside(List<Double> ticks, double value) {
    if (value >= low && value <= high) {
      ticks.add(value);
    }
  }

  private static double step(double rough) {
    double power = Math.pow(10, Math.floor(Math.log10(rough)));
    double share = rough / power;
    return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
  }

  /** With as many digits as neighbouring ticks need. */
  static String label(double value) {
    double size = Math.abs(value);
    if (size == 0) {
      return "0";
    }
    if (size >= 1e6) {
      return trimmed(String.format(Locale.ROOT, "%.3f", value / 1e6)) + "M";
    }
    if (size >= 1e4) {
      return trimmed(String.format(Locale.ROOT, "%.2f", value / 1e3)) + "k";
    }
    if (size < 1e-3) {
      return trimmed(String.format(Locale.ROOT, "%.2e", value)).replace("e-0", "e-");
    }
    return trimmed(String.format(Locale.ROOT, "%.5f", value));
  }

  private static String trimmed(String number) {
    return number.replaceFirst("\\.?0+(?=e|$)", "");
  }
}
