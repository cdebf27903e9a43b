package io.chorale.sched;

/**
 * Rows of one sequence in a step: positions {@code start .. start + count - 1} are computed, all
 * earlier ones have their KV in place.
 *
 * @param samples the last row is the sequence's last token: its logits pick the next token
 * @param loraSlot the adapter's resident index, or -1 for the base model
 * @param blockTable block ids that cover positions {@code 0 .. start + count - 1}, position {@code
 *     p} in entry {@code p / blockTokens}; may be longer (entries past the cover mean nothing);
 *     borrowed and read-only until the batch is committed or failed
 */
public record ScheduledRows(
    Sequence sequence, int start, int count, boolean samples, int loraSlot, int[] blockTable) {}
