package io.chorale.train.watch.verdict;

import io.chorale.train.watch.Verdict.Kind;
import io.chorale.train.watch.Verdict.Remedy;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What to change for each verdict, in terms of the run's own flags and their values. */
final class Remedies {
  private final Map<String, String> flags = new HashMap<>();

  /**
   * @param configuration values by flag name, with or without dashes
   */
  Remedies(Map<String, String> configuration) {
    configuration.forEach((name, value) -> flags.put(name.replaceFirst("^--", ""), value));
  }

  List<Remedy> of(Kind kind) {
    return switch (kind) {
      case DIVERGING ->
          List.of(
              scaled("lr", 0.2, "the steps overshoot"),
              scaled("warmup", 3, "let the optimizer's moments settle before full steps"));
      case NOT_CONVERGING ->
          List.of(
              scaled("lr", 5, "the steps are too small to show"),
              change("target-modules", "all-linear", "more of the model can move"));
      case OVERFITTING ->
          List.of(
              shorter(),
              change("early-stopping", "2", "ends the run once held-out loss stays up"),
              change("dropout", "0.1", "noise keeps rows from being learnt by heart"),
              scaled("rank", 0.5, "fewer parameters remember less"));
      case UNDERFITTING ->
          List.of(
              longer(),
              scaled("lr", 2, "more is learnt in the same steps"),
              scaled("rank", 2, "more parameters hold more"));
      case ZERO_SIGNAL ->
          List.of(
              new Remedy("chorale data check", "", "", "names rows without a trained token"),
              scaled("max-seq-length", 2, "answers that are cut off are not trained on"));
      case NOT_FINITE ->
          List.of(
              new Remedy("chorale data check", "", "", "look at the named rows first"),
              scaled("lr", 0.1, "weights that ran away overflow"),
              change("compute", "f32", "more room than bf16"));
      case GRADIENT_EXPLODING ->
          List.of(
              scaled("lr", 0.5, "smaller steps stay where the loss is smooth"),
              change("max-grad-norm", "0.3", "bounds what one batch can do"));
      case MEMORY_NEAR_LIMIT -> memory();
    };
  }

  private List<Remedy> memory() {
    List<Remedy> all = new ArrayList<>();
    double batch = number("batch-size");
    if (!(batch <= 1)) {
      all.add(scaled("batch-size", 0.5, "halves the activations; double --grad-accum with it"));
    }
    if (!"true".equals(flags.get("checkpointing"))) {
      all.add(change("checkpointing", "true", "keeps layer inputs only, a third more time"));
    }
    all.add(scaled("max-seq-length", 0.5, "activations grow with the length"));
    all.add(new Remedy("chorale plan", "", "", "lists the cheapest changes with their bytes"));
    return all;
  }

  private Remedy shorter() {
    return number("max-steps") > 0
        ? scaled("max-steps", 0.5, "stop before the held-out loss rises")
        : scaled("epochs", 0.5, "stop before the held-out loss rises");
  }

  private Remedy longer() {
    return number("max-steps") > 0
        ? scaled("max-steps", 2, "the loss was still falling")
        : scaled("epochs", 2, "the loss was still falling");
  }

  private Remedy change(String flag, String to, String why) {
    return new Remedy("--" + flag, flags.getOrDefault(flag, ""), to, why);
  }

  /** Whole numbers stay whole and at least 1. */
  private Remedy scaled(String flag, double factor, String why) {
    double now = number(flag);
    if (!(now > 0)) {
      return new Remedy("--" + flag, "", factor > 1 ? "higher" : "lower", why);
    }
    String from = flags.get(flag);
    boolean whole = now == Math.rint(now) && !from.contains("e");
    double then = now * factor;
    if (whole && factor < 1 && now <= 1) {
      return new Remedy("--" + flag, from, "less", why);
    }
    String to =
        whole
            ? Long.toString(Math.max(1, Math.round(then)))
            : String.format(Locale.ROOT, "%.3g", then);
    return new Remedy("--" + flag, from, plain(to), why);
  }

  /** Without the zeros that %g pads with. */
  private static String plain(String number) {
    if (!number.contains(".") || number.contains("e")) {
      return number.replaceFirst("\\.?0+e", "e");
    }
    return number.replaceFirst("\\.?0+$", "");
  }

  private double number(String flag) {
    try {
      return Double.parseDouble(flags.getOrDefault(flag, ""));
    } catch (NumberFormatException e) {
      return Double.NaN;
    }
  }
}
