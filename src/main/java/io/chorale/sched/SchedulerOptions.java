package io.chorale.sched;

/**
 * Limits of the scheduler.
 *
 * @param maxBatchTokens rows in one step; at least {@code maxRunning}, so that every running
 *     sequence can get a row in every step
 * @param maxRunning sequences that hold KV blocks at a time
 * @param blockTokens positions in a KV block
 * @param blocks KV blocks in all
 * @param maxLoras loraSlots; 0 serves the base model alone
 * @param maxModelTokens the model's context, prompt and generated together
 * @param prefillChunkTokens rows that one prompt may take in a step
 * @param prefixCache keep full blocks of finished sequences and share them by content
 */
public record SchedulerOptions(
    int maxBatchTokens,
    int maxRunning,
    int blockTokens,
    int blocks,
    int maxLoras,
    int maxModelTokens,
    int prefillChunkTokens,
    boolean prefixCache) {

  public SchedulerOptions {
    atLeast("maxRunning", maxRunning, 1);
    atLeast("maxBatchTokens", maxBatchTokens, maxRunning);
    atLeast("blockTokens", blockTokens, 1);
    atLeast("blocks", blocks, 1);
    atLeast("maxLoras", maxLoras, 0);
    atLeast("maxModelTokens", maxModelTokens, 2);
    atLeast("prefillChunkTokens", prefillChunkTokens, 1);
    if ((long) blocks * blockTokens > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "blocks is %d of %d tokens, wanted at most %d positions in all"
              .formatted(blocks, blockTokens, Integer.MAX_VALUE));
    }
  }

  /** The longest sequence, in tokens: bounded by the model's context and by all KV blocks. */
  public int maxSequenceTokens() {
    return Math.min(maxModelTokens, blocks * blockTokens);
  }

  /**
   * Refuses a sequence that could never run.
   *
   * @throws IllegalArgumentException saying what it needs and what there is
   */
  void requireRoomFor(Sequence sequence) {
    long needed = sequence.promptTokens() + 1L;
    if (needed > maxSequenceTokens()) {
      throw new IllegalArgumentException(
          ("sequence %d needs %d tokens (prompt and one more), %d are available "
                  + "(model context %d, KV blocks %d x %d); shorten the prompt")
              .formatted(
                  sequence.id(), needed, maxSequenceTokens(), maxModelTokens, blocks, blockTokens));
    }
    if (sequence.hasAdapter() && maxLoras == 0) {
      throw new IllegalArgumentException(
          "sequence %d needs adapter %d, maxLoras is 0; raise it"
              .formatted(sequence.id(), sequence.adapterKey()));
    }
  }

  private static void atLeast(String field, int value, int low) {
    if (value < low) {
      throw new IllegalArgumentException(
          "%s is %d, wanted at least %d".formatted(field, value, low));
    }
  }
}
