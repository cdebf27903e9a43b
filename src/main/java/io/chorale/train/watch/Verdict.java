package io.chorale.train.watch;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What is wrong with a run, or no longer is.
 *
 * @param raised false if an earlier verdict of this kind is taken back
 * @param step after which it was seen
 * @param evidence the numbers it rests on, by name, in order
 * @param text one sentence with them
 * @param remedies what to change, the likeliest first; empty when taken back
 */
public record Verdict(
    Kind kind,
    boolean raised,
    int step,
    Map<String, Double> evidence,
    String text,
    List<Remedy> remedies) {
  /** What can be wrong. */
  public enum Kind {
    DIVERGING,
    NOT_CONVERGING,
    OVERFITTING,
    UNDERFITTING,
    ZERO_SIGNAL,
    NOT_FINITE,
    GRADIENT_EXPLODING,
    MEMORY_NEAR_LIMIT;

    /** As people write it: "not converging". */
    public String label() {
      return name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }

    /** Whether what is trained from here on is of no use. */
    public boolean fatal() {
      return this == DIVERGING || this == ZERO_SIGNAL || this == NOT_FINITE;
    }
  }

  /**
   * One change that helps.
   *
   * @param flag with its dashes, or a command
   * @param from its value in this run, empty if unknown
   * @param to what to try, empty for a command
   */
  public record Remedy(String flag, String from, String to, String why) {
    /** {@code --lr 0.0002 -> 0.0001: why}. */
    public String text() {
      String change = from.isEmpty() || to.isEmpty() ? to : from + " -> " + to;
      return (change.isEmpty() ? flag : flag + " " + change) + ": " + why;
    }
  }

  public Verdict {
    evidence = Collections.unmodifiableMap(new LinkedHashMap<>(evidence));
    remedies = List.copyOf(remedies);
  }
}
