package io.chorale.train.plan;

import java.util.List;
import java.util.Locale;

/** A plan as people read it. */
final class PlanText {
  private static final int SHOWN_CHANGES = 8;

  private PlanText() {}

  static String of(TrainPlan plan, long limitBytes) {
    StringBuilder text = new StringBuilder();
    text.append(
        format(
            "plan for %s in %s, %s, %,d trained of %,d parameters%n",
            plan.base().name(),
            plan.base().linear(),
            plan.shape().method().name().toLowerCase(Locale.ROOT),
            plan.trainedParameters(),
            plan.base().parameters()
                + (plan.shape().ranks().isEmpty() ? 0 : plan.trainedParameters())));
    for (MemoryItem item : plan.items()) {
      text.append(format("  %-20s %10s  %s%n", item.name(), bytes(item.bytes()), item.how()));
    }
    text.append(format("  %-20s %10s  resident%n", "peak", bytes(plan.peakBytes())));
    text.append(
        format(
            "%,d steps, %,d tokens, about %s at %.0f GFLOP/s (%s)%n",
            plan.steps(),
            plan.tokens(),
            duration(plan.seconds()),
            plan.rate().flops() / 1e9,
            plan.rate().measured() ? "measured here" : "assumed"));
    if (limitBytes > 0) {
      text.append(
          plan.fits(limitBytes)
              ? format("fits in %s%n", bytes(limitBytes))
              : format(
                  "over the limit of %s by %s%n",
                  bytes(limitBytes), bytes(plan.peakBytes() - limitBytes)));
    }
    if (!plan.fits(limitBytes)) {
      text.append(changes(plan, limitBytes));
    }
    return text.toString();
  }

  private static String changes(TrainPlan plan, long limitBytes) {
    StringBuilder text = new StringBuilder("cheapest changes, one at a time:\n");
    List<PlanChange> changes = plan.changes();
    for (PlanChange change : changes.subList(0, Math.min(SHOWN_CHANGES, changes.size()))) {
      text.append("  ")
          .append(change.text())
          .append(change.then().fits(limitBytes) ? ": fits" : "")
          .append('\n');
    }
    return text.toString();
  }

  static String bytes(long bytes) {
    double mib = bytes / 1048576.0;
    return mib < 1000 ? format("%.0f MiB", mib) : format("%.2f GiB", mib / 1024);
  }

  static String duration(double seconds) {
    if (seconds < 90) {
      return format("%.0f s", seconds);
    }
    return seconds < 5400
        ? format("%.0f min", seconds / 60)
        : seconds < 172_800
            ? format("%.1f h", seconds / 3600)
            : format("%.1f days", seconds / 86_400);
  }

  static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
