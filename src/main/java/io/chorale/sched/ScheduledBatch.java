package io.chorale.sched;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * One step: what to compute. Decode rows come first, then prefill chunks; a sequence appears once.
 * A scheduler has one such object, which its next {@link Scheduler#schedule} fills anew.
 */
public final class ScheduledBatch {
  private final List<ScheduledRows> decodes = new ArrayList<>();
  private final List<ScheduledRows> prefills = new ArrayList<>();
  private final List<ScheduledRows> all = new ArrayList<>();
  private final List<ScheduledRows> rows = Collections.unmodifiableList(all);
  private final List<Seating> seats = new ArrayList<>();
  private final List<Seating> seatings = Collections.unmodifiableList(seats);
  private int totalRows;

  // While it is put together
  int prefillBudget;
  boolean preempts; // then nobody is admitted: blocks are short

  ScheduledBatch() {}

  void begin(int budget) {
    decodes.clear();
    prefills.clear();
    all.clear();
    seats.clear();
    totalRows = 0;
    prefillBudget = budget;
    preempts = false;
  }

  void decode(ScheduledRows one) {
    decodes.add(one);
    totalRows += one.count();
  }

  void prefill(ScheduledRows chunk) {
    prefills.add(chunk);
    totalRows += chunk.count();
    prefillBudget -= chunk.count();
  }

  /** To be lengthened by drafts. */
  List<ScheduledRows> decodes() {
    return decodes;
  }

  /** To be added to. */
  List<Seating> seats() {
    return seats;
  }

  void end(int drafts) {
    for (int i = 0; i < decodes.size(); i++) {
      all.add(decodes.get(i));
    }
    for (int i = 0; i < prefills.size(); i++) {
      all.add(prefills.get(i));
    }
    totalRows += drafts;
  }

  public List<ScheduledRows> rows() {
    return rows;
  }

  /** LoraSlots to fill before computing. */
  public List<Seating> seatings() {
    return seatings;
  }

  /** Sum of the rows' counts, at most {@link SchedulerOptions#maxBatchTokens}. */
  public int totalRows() {
    return totalRows;
  }

  /** Rows of one token each and their drafts; the others are prompts. */
  int decodeRows() {
    int sum = 0;
    for (int i = 0; i < decodes.size(); i++) {
      sum += decodes.get(i).count();
    }
    return sum;
  }

  /** Sum over all rows of the position of each. */
  long positions() {
    long sum = 0;
    for (int i = 0; i < all.size(); i++) {
      ScheduledRows each = all.get(i);
      sum += (long) each.count() * (2 * each.start() + each.count() - 1) / 2;
    }
    return sum;
  }

  /** Rows whose logits may pick a token. */
  public int samplingRows() {
    int sum = 0;
    for (int i = 0; i < all.size(); i++) {
      sum += all.get(i).samplingRows();
    }
    return sum;
  }

  public boolean isEmpty() {
    return all.isEmpty();
  }
}
