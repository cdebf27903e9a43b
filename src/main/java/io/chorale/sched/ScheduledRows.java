package io.chorale.sched;

/**
 * Rows of one sequence in a step: positions {@code start .. start + count - 1} are computed, all
 * earlier ones have their KV in place.
 *
 * @param count drafts included
 * @param drafts of the last rows hold guesses instead of tokens, {@link Sequence#stepToken}; 0
 *     unless {@code samples}
 * @param samples the last row but for the drafts is the sequence's last token: its logits pick the
 *     next token, and those of a draft pick one if all drafts so far were picked
 * @param loraSlot the adapter's resident index, or -1 for the base model
 * @param blockTable block ids that cover positions {@code 0 .. start + count - 1}, position {@code
 *     p} in entry {@code p / blockTokens}; may be longer (entries past the cover mean nothing);
 *     borrowed and read-only until the batch is committed or failed
 */
public record ScheduledRows(
    Sequence sequence,
    int start,
    int count,
    int drafts,
    boolean samples,
    int loraSlot,
    int[] blockTable) {

  /** Rows whose logits may pick a token; they are the last ones. */
  public int samplingRows() {
    return samples ? 1 + drafts : 0;
  }
}
