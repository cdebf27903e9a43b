package io.chorale.adapter;

import java.util.List;

/** What start-up did with each remembered or found adapter, in name order. */
public record RestoreReport(List<Outcome> outcomes) {
  public RestoreReport {
    outcomes = List.copyOf(outcomes);
  }

  /** What became of one adapter. */
  public enum Kind {
    /** Registered again as the version it had. */
    RESTORED,
    /** Its files are not the ones it was registered with: published as a new version. */
    CHANGED,
    /** Found in a root folder, not remembered: registered under its folder's name. */
    FOUND,
    /** Found in a root folder, but removed by a request earlier: stays removed. */
    STAYS_REMOVED,
    /** Could not be loaded; a remembered registration is kept for the next start. */
    FAILED
  }

  /**
   * One adapter.
   *
   * @param version served now; 0 if none
   * @param reason why it failed; empty otherwise
   */
  public record Outcome(String name, Kind kind, int version, String reason) {}

  public List<Outcome> failed() {
    return outcomes.stream().filter(o -> o.kind() == Kind.FAILED).toList();
  }
}
