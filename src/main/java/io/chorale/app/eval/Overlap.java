package io.chorale.app.eval;

import io.chorale.eval.EvalException;
import io.chorale.eval.EvalListener;
import io.chorale.eval.leak.LeakCheck;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What the check of the tests against training data found.
 *
 * @param lines one per test, for people
 */
record Overlap(List<String> lines) {
  private static final int SHOWN = 20;

  /**
   * @throws EvalException naming the rows, if training saw test questions and that is not allowed
   */
  static Overlap of(
      PlannedTests planned, List<Path> trainData, boolean allowLeak, EvalListener listener) {
    if (trainData.isEmpty()) {
      return new Overlap(
          List.of("train/test overlap: NOT CHECKED; --train-data FILE names the training data"));
    }
    LeakCheck check = LeakCheck.of(trainData, listener);
    List<String> lines = new ArrayList<>();
    List<String> rows = new ArrayList<>();
    for (PlannedTests.Planned each : planned.all()) {
      List<LeakCheck.Leak> leaks = check.leaks(each.task().questions());
      lines.add(
          "train/test overlap of %s: %d of %d questions in %d training questions (equal, or %.0f %% of word trigrams)"
              .formatted(
                  each.task().name(),
                  leaks.size(),
                  each.task().questions().size(),
                  check.rows(),
                  100 * LeakCheck.NEAR));
      leaks.forEach(leak -> rows.add("  " + leak));
    }
    if (!rows.isEmpty()) {
      List<String> shown = rows.subList(0, Math.min(SHOWN, rows.size()));
      String more = rows.size() > SHOWN ? "\n  and %d more".formatted(rows.size() - SHOWN) : "";
      String told = String.join("\n", shown) + more;
      if (!allowLeak) {
        throw new EvalException(
            "%d test questions stand in the training data:%n%s%nTake them out of one of the two, or --allow-leak"
                .formatted(rows.size(), told));
      }
      lines.add("LEAKED, allowed by --allow-leak:\n" + told);
    }
    return new Overlap(lines);
  }
}
