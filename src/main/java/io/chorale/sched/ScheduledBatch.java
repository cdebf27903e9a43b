package io.chorale.sched;

import java.util.List;

/**
 * One step: what to compute. Decode rows come first, then prefill chunks; a sequence appears once.
 *
 * @param seatings loraSlots to fill before computing
 * @param totalRows sum of the rows' counts, at most {@link SchedulerOptions#maxBatchTokens}
 */
public record ScheduledBatch(List<ScheduledRows> rows, List<Seating> seatings, int totalRows) {

  public ScheduledBatch {
    rows = List.copyOf(rows);
    seatings = List.copyOf(seatings);
  }

  public boolean isEmpty() {
    return rows.isEmpty();
  }

  /** Rows whose logits may pick a token: one a sampling entry, and its drafts. */
  public int samplingRows() {
    int count = 0;
    for (ScheduledRows each : rows) {
      count += each.samplingRows();
    }
    return count;
  }
}
