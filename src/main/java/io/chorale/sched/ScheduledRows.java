package io.chorale.sched;

/**
 * Rows of one sequence in a step: positions {@code start .. start + count - 1} are computed, all
 * earlier ones have their KV in place. Each sequence has one such object, which the next step that
 * the sequence takes part in fills anew.
 */
public final class ScheduledRows {
  private final Sequence sequence;
  private int start;
  private int count;
  private int drafts;
  private boolean samples;
  private int loraSlot;

  ScheduledRows(Sequence sequence) {
    this.sequence = sequence;
  }

  /** The sequence's next rows, without drafts. */
  ScheduledRows next(int rows, int slot) {
    start = sequence.computedTokens();
    count = rows;
    drafts = 0;
    samples = rows == sequence.remaining();
    loraSlot = slot;
    return this;
  }

  void lengthen(int moreDrafts) {
    count += moreDrafts;
    drafts += moreDrafts;
  }

  public Sequence sequence() {
    return sequence;
  }

  public int start() {
    return start;
  }

  /** Drafts included. */
  public int count() {
    return count;
  }

  /**
   * So many of the last rows hold guesses instead of tokens, {@link Sequence#stepToken}; 0 unless
   * {@link #samples}.
   */
  public int drafts() {
    return drafts;
  }

  /**
   * The last row but for the drafts is the sequence's last token: its logits pick the next token,
   * and those of a draft pick one if all drafts so far were picked.
   */
  public boolean samples() {
    return samples;
  }

  /** Rows whose logits may pick a token; they are the last ones. */
  public int samplingRows() {
    return samples ? 1 + drafts : 0;
  }

  /** The adapter's resident index, or -1 for the base model. */
  public int loraSlot() {
    return loraSlot;
  }

  /**
   * Block ids that cover positions {@code 0 .. start + count - 1}, position {@code p} in entry
   * {@code p / blockTokens}; may be longer (entries past the cover mean nothing); borrowed and
   * read-only until the batch is committed or failed.
   */
  public int[] blockTable() {
    return sequence.blocks().ids();
  }

  @Override
  public String toString() {
    return "rows %d to %d of sequence %d, %d drafts, loraSlot %d"
        .formatted(start, start + count - 1, sequence.id(), drafts, loraSlot);
  }
}
