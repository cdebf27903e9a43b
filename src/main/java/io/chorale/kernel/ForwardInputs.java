package io.chorale.kernel;

/**
 * The rows of one step as plain arrays. Rows of a sequence are consecutive; sequences come in any
 * order and mix prefill chunks with decode rows.
 *
 * @param tokenIds [rows]
 * @param positions [rows], from 0
 * @param loraSlots [rows], {@link LoraTable#NO_LORA} for the base
 * @param firstRow [sequences], index of the sequence's first row
 * @param rowCount [sequences]
 * @param blockTables [sequences][blocks], KV block ids that cover positions 0 to the last row's
 * @param blockTokens positions per block
 * @param logitRows rows whose logits are wanted, ascending
 */
public record ForwardInputs(
    int[] tokenIds,
    int[] positions,
    int[] loraSlots,
    int[] firstRow,
    int[] rowCount,
    int[][] blockTables,
    int blockTokens,
    int[] logitRows) {

  public int rows() {
    return tokenIds.length;
  }

  public int sequences() {
    return firstRow.length;
  }

  /** Positions that the sequence's last row of this step attends to, its own included. */
  public int contextLength(int sequence) {
    return positions[firstRow[sequence] + rowCount[sequence] - 1] + 1;
  }

  /** Physical KV position of a sequence's position. */
  public long kvSlot(int sequence, int position) {
    return (long) blockTables[sequence][position / blockTokens] * blockTokens
        + position % blockTokens;
  }
}
