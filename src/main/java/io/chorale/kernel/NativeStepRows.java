package io.chorale.kernel;

/**
 * A step's indices in native memory, freed by {@link #close}; then {@link #begin} may fill the same
 * object for another step. Engine thread.
 */
final class NativeStepRows implements StepRows {

  /** Rows grouped by adapter; part of the step. */
  static final class Rows implements RowSlots {
    private int rows;
    private long address;

    @Override
    public int rows() {
      return rows;
    }

    long address() {
      return address;
    }
  }

  private final NativeHandle context; // this and the table must outlive the step
  private final Rows all = new Rows();
  private final Rows firstLogits = new Rows();
  private boolean logitsTaken;
  private ForwardInputs inputs;
  private NativeLoraTable table;
  private int[] words = new int[0];
  private long address;

  NativeStepRows(NativeHandle context) {
    this.context = context;
  }

  /** False until it is closed. */
  boolean isFree() {
    return address == 0;
  }

  NativeStepRows begin(ForwardInputs step, float[] inverseFrequencies, NativeLoraTable lora) {
    inputs = step;
    table = lora;
    fillWords();
    address = NativeCalls.begin(context.address(), lora.address(), words, inverseFrequencies);
    all.rows = step.rows();
    all.address = NativeCalls.allRows(address);
    logitsTaken = false;
    return this;
  }

  long address() {
    return address;
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
    Rows rows = logitsTaken ? new Rows() : firstLogits; // more than one band is seldom
    logitsTaken = true;
    rows.rows = count;
    rows.address = NativeCalls.logitRows(address, from, count);
    return rows;
  }

  @Override
  public void close() {
    long open = address;
    address = 0;
    if (open != 0) {
      NativeCalls.end(open);
    }
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
  private void fillWords() {
    int sequences = inputs.sequences();
    int blocks = 0;
    for (int[] blockTable : inputs.blockTables()) {
      blocks += blockTable.length;
    }
    int count = 5 + 3 * inputs.rows() + 3 * sequences + blocks + inputs.logitRows().length;
    if (words.length < count) {
      words = new int[count + count / 4];
    }
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
    for (int[] blockTable : inputs.blockTables()) {
      words[at++] = start;
      start += blockTable.length;
    }
    words[at++] = start;
    for (int[] blockTable : inputs.blockTables()) {
      at = put(words, at, blockTable);
    }
    put(words, at, inputs.logitRows());
  }

  private static int put(int[] words, int at, int[] values) {
    System.arraycopy(values, 0, words, at, values.length);
    return at + values.length;
  }
}
