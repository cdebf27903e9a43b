package io.chorale.eval.report;

import io.chorale.eval.Metric.Transform;
import io.chorale.eval.stat.Estimate;
import java.util.Locale;

/** Numbers as a report writes them. */
final class Numbers {
  private Numbers() {}

  static String value(Transform transform, double value) {
    return switch (transform) {
      case SHARE -> format("%.1f %%", 100 * value);
      case RATIO -> format("%.4f", value);
      case EXP -> format("%.3f", value);
    };
  }

  static String interval(Transform transform, Estimate estimate) {
    return switch (transform) {
      case SHARE -> format("%.1f - %.1f", 100 * estimate.low(), 100 * estimate.high());
      case RATIO -> format("%.4f - %.4f", estimate.low(), estimate.high());
      case EXP -> format("%.3f - %.3f", estimate.low(), estimate.high());
    };
  }

  static String difference(Transform transform, Estimate estimate) {
    return switch (transform) {
      case SHARE ->
          format(
              "%+.1f [%+.1f, %+.1f]",
              100 * estimate.value(), 100 * estimate.low(), 100 * estimate.high());
      case RATIO ->
          format("%+.4f [%+.4f, %+.4f]", estimate.value(), estimate.low(), estimate.high());
      case EXP -> format("%+.3f [%+.3f, %+.3f]", estimate.value(), estimate.low(), estimate.high());
    };
  }

  static String format(String format, Object... args) {
    return String.format(Locale.ROOT, format, args);
  }
}
