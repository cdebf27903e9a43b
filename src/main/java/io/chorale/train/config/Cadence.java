package io.chorale.train.config;

/**
 * When something is done during a run.
 *
 * @param steps after every so many steps; 0: after every epoch; -1: never. In any case it is done
 *     at the end
 */
public record Cadence(int steps) {
  static Cadence parse(String value) {
    return switch (value) {
      case "epoch" -> new Cadence(0);
      case "never" -> new Cadence(-1);
      default -> new Cadence(Integer.parseInt(value));
    };
  }

  /**
   * @param stepsDone since the start of the run
   * @param epochEnds the step was the last of its epoch
   */
  public boolean due(int stepsDone, boolean epochEnds) {
    return steps == 0 ? epochEnds : steps > 0 && stepsDone % steps == 0;
  }
}
