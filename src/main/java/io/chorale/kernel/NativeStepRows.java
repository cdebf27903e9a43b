package io.chorale.kernel;

/** A step's indices in native memory, freed by {@link #close}. Engine thread. */
final class NativeStepRows implements StepRows {

  /** Rows grouped by adapter; part of the step. */
  record Rows(int rows, long address, NativeStepRows step) implements RowSlots {}

  private final ForwardInputs inputs;
  private final NativeHandle handle;
  private final Rows all;
  private final NativeHandle context; // this and the table must outlive the step
  private final NativeLoraTable table;

  NativeStepRows(
      NativeHandle context,
      ForwardInputs inputs,
      float[] inverseFrequencies,
      NativeLoraTable table) {
    this.inputs = inputs;
    this.context = context;
    this.table = table;
    this.handle =
        NativeHandle.of(
            NativeCalls.begin(
                context.address(), table.address(), words(inputs), inverseFrequencies),
            NativeCalls::end);
    this.all = new Rows(inputs.rows(), NativeCalls.allRows(handle.address()), this);
  }

  long address() {
    return handle.address();
  }

  @Override
  public ForwardInputs inputs() {
    return inputs;
  }

  @Override
  public RowSlots all() {
    return all;
  }

  @Override
  public RowSlots logitRows(int from, int count) {
    return new Rows(count, NativeCalls.logitRows(handle.address(), from, count), this);
  }

  @Override
  public void close() {
    handle.close();
  }

  @Override
  public String toString() {
    return "%d rows of %d sequences, %d loraSlots, kernels at %x"
        .formatted(inputs.rows(), inputs.sequences(), table.slots(), context.address());
  }

  /**
   * Counts (rows, sequences, blockTokens, logit rows), then tokenIds, positions, loraSlots,
   * firstRow, rowCount, where each sequence's block table starts and the last ends, the tables,
   * logitRows.
   */
  private static int[] words(ForwardInputs inputs) {
    int sequences = inputs.sequences();
    int blocks = 0;
    for (int[] table : inputs.blockTables()) {
      blocks += table.length;
    }
    int[] words =
        new int[5 + 3 * inputs.rows() + 3 * sequences + blocks + inputs.logitRows().length];
    words[0] = inputs.rows();
    words[1] = sequences;
    words[2] = inputs.blockTokens();
    words[3] = inputs.logitRows().length;
    int at = put(words, 4, inputs.tokenIds());
    at = put(words, at, inputs.positions());
    at = put(words, at, inputs.loraSlots());
    at = put(words, at, inputs.firstRow());
    at = put(words, at, inputs.rowCount());
    int start = 0;
    for (int[] table : inputs.blockTables()) {
      words[at++] = start;
      start += table.length;
    }
    words[at++] = start;
    for (int[] table : inputs.blockTables()) {
      at = put(words, at, table);
    }
    put(words, at, inputs.logitRows());
    return words;
  }

  private static int put(int[] words, int at, int[] values) {
    System.arraycopy(values, 0, words, at, values.length);
    return at + values.length;
  }
}
