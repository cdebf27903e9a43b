package io.chorale.app.train;

import io.chorale.train.TrainRows;
import io.chorale.train.data.SftExample;
import io.chorale.train.data.check.DataReport;

/** What the rows of a run came to, as {@code data check} tells it. */
final class DataSummary {
  private DataSummary() {}

  /**
   * @param each findings to print of each kind
   */
  static String text(TrainRows rows, int each) {
    int[] lengths = rows.examples().stream().mapToInt(SftExample::fullTokens).sorted().toArray();
    DataReport report =
        new DataReport(
            rows.formats(),
            rows.findings(),
            rows.rows(),
            rows.examples().size(),
            new DataReport.TokenCounts(
                lengths, rows.trainedTokens(), rows.tokens(), rows.truncated()));
    return report.text(each).replace("--report lists all", "chorale data check --report lists all");
  }
}
