package io.chorale.train.watch.verdict;

import io.chorale.train.watch.Verdict;
import io.chorale.train.watch.Verdict.Kind;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Where the judges sit: the state of every kind, and the verdicts that are not read out yet. */
final class Bench {
  private final Map<Kind, Latch> latches = new EnumMap<>(Kind.class);
  private final List<Verdict> fresh = new ArrayList<>();
  private Remedies remedies = new Remedies(Map.of());

  void remedies(Remedies known) {
    remedies = known;
  }

  /** How many times in a row it takes to raise and to take back a kind; the first word counts. */
  void patience(Kind kind, int raiseAfter, int clearAfter) {
    latches.putIfAbsent(kind, new Latch(raiseAfter, clearAfter));
  }

  boolean on(Kind kind) {
    return latches.containsKey(kind) && latches.get(kind).on();
  }

  /**
   * One observation of a kind; a verdict if that changes its state.
   *
   * @param text said when it is raised, a format for the evidence's values in order
   * @param over said when it is taken back, likewise
   */
  void observe(
      Kind kind,
      boolean bad,
      boolean good,
      int step,
      Map<String, Double> evidence,
      String text,
      String over) {
    Latch latch = latches.computeIfAbsent(kind, k -> new Latch(1, 1));
    if (latch.observe(bad, good)) {
      String words =
          String.format(Locale.ROOT, latch.on() ? text : over, evidence.values().toArray());
      fresh.add(
          new Verdict(
              kind, latch.on(), step, evidence, words, latch.on() ? remedies.of(kind) : List.of()));
    }
  }

  List<Verdict> readOut() {
    List<Verdict> all = List.copyOf(fresh);
    fresh.clear();
    return all;
  }

  /** Evidence in order: name, value, name, value. */
  static Map<String, Double> evidence(Object... namesAndValues) {
    Map<String, Double> evidence = new LinkedHashMap<>();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      evidence.put((String) namesAndValues[i], ((Number) namesAndValues[i + 1]).doubleValue());
    }
    return evidence;
  }
}
