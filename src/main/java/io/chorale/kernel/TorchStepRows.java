package io.chorale.kernel;

import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/** A step's indices as libtorch tensors, all freed by {@link #close}. Engine thread. */
final class TorchStepRows implements StepRows {

  /**
   * The rows of one adapter: a contiguous range, or an index.
   *
   * @param index int64 [count]; null if the rows are {@code from .. from+count-1}
   */
  record Segment(int slot, int from, int count, Tensor index) {
    Tensor select(Tensor rows) {
      return index == null ? rows.narrow(0, from, count) : rows.index_select(0, index);
    }

    void add(Tensor rows, Tensor update) {
      if (index == null) {
        rows.narrow(0, from, count).add_(update);
      } else {
        rows.index_add_(0, index, update);
      }
    }

    void put(Tensor rows, Tensor values) {
      if (index == null) {
        rows.narrow(0, from, count).copy_(values);
      } else {
        rows.index_copy_(0, index, values);
      }
    }
  }

  /** Rows by adapter. */
  record Segments(int rows, List<Segment> list, TorchLoraTable table) implements RowSlots {}

  /**
   * One sequence's attention.
   *
   * @param context int64 [length], kvSlots of the attended positions, ascending
   * @param mask float32 [rows, length], 0 or -inf; null for a single row, which sees all
   */
  record Span(int firstRow, int rows, Tensor context, Tensor mask) {}

  private final Scope scope = Scope.open();
  private final ForwardInputs inputs;
  private final TorchDevice device;
  private final TorchLoraTable table;
  private final Segments all;
  private final int[] logitSlots;
  final Tensor tokenIds;
  final Tensor kvSlots;
  final Tensor logitIndex;
  final Tensor cos;
  final Tensor sin;
  private List<Span> spans;
  private int spansWindow;

  TorchStepRows(
      ForwardInputs inputs, float[] inverseFrequencies, TorchLoraTable table, TorchDevice device) {
    this.inputs = inputs;
    this.device = device;
    this.table = table;
    this.tokenIds = device.longs(longs(inputs.tokenIds()));
    this.logitIndex = device.longs(longs(inputs.logitRows()));
    this.kvSlots = device.longs(writtenSlots());
    int half = inverseFrequencies.length;
    float[] cosines = new float[inputs.rows() * half];
    float[] sines = new float[inputs.rows() * half];
    for (int row = 0; row < inputs.rows(); row++) {
      for (int i = 0; i < half; i++) {
        // The product is rounded to float32 first, as transformers does.
        float angle = inputs.positions()[row] * inverseFrequencies[i];
        cosines[row * half + i] = (float) Math.cos(angle);
        sines[row * half + i] = (float) Math.sin(angle);
      }
    }
    this.cos = device.floats(cosines, inputs.rows(), 1, half);
    this.sin = device.floats(sines, inputs.rows(), 1, half);
    this.all = segments(inputs.loraSlots());
    this.logitSlots =
        Arrays.stream(inputs.logitRows()).map(row -> inputs.loraSlots()[row]).toArray();
  }

  @Override
  public ForwardInputs inputs() {
    return inputs;
  }

  @Override
  public Segments all() {
    return all;
  }

  @Override
  public RowSlots logitRows(int from, int count) {
    return segments(Arrays.copyOfRange(logitSlots, from, from + count));
  }

  /** Attention spans; the same for all layers, so made once. */
  List<Span> spans(int window) {
    if (spans == null || spansWindow != window) {
      spans = new ArrayList<>(inputs.sequences());
      for (int sequence = 0; sequence < inputs.sequences(); sequence++) {
        spans.add(span(sequence, window));
      }
      spansWindow = window;
    }
    return spans;
  }

  private Span span(int sequence, int window) {
    int firstRow = inputs.firstRow()[sequence];
    int rows = inputs.rowCount()[sequence];
    int end = inputs.contextLength(sequence);
    int firstQuery = inputs.positions()[firstRow];
    int start = window == 0 ? 0 : Math.max(0, firstQuery - window + 1);
    long[] context = new long[end - start];
    for (int i = 0; i < context.length; i++) {
      context[i] = inputs.kvSlot(sequence, start + i);
    }
    Tensor mask = null;
    if (rows > 1) {
      float[] values = new float[rows * context.length];
      for (int row = 0; row < rows; row++) {
        int query = firstQuery + row - start;
        for (int key = 0; key < context.length; key++) {
          boolean seen = key <= query && (window == 0 || key > query - window);
          values[row * context.length + key] = seen ? 0 : Float.NEGATIVE_INFINITY;
        }
      }
      mask = device.floats(values, rows, context.length);
    }
    return new Span(firstRow, rows, device.longs(context), mask);
  }

  private Segments segments(int[] slots) {
    Map<Integer, List<Integer>> rowsOf = new LinkedHashMap<>();
    for (int row = 0; row < slots.length; row++) {
      if (slots[row] != LoraTable.NO_LORA) {
        rowsOf.computeIfAbsent(slots[row], s -> new ArrayList<>()).add(row);
      }
    }
    List<Segment> list = new ArrayList<>(rowsOf.size());
    rowsOf.forEach(
        (slot, rows) -> {
          int from = rows.get(0);
          boolean contiguous = rows.get(rows.size() - 1) - from == rows.size() - 1;
          long[] index = rows.stream().mapToLong(Integer::longValue).toArray();
          list.add(new Segment(slot, from, rows.size(), contiguous ? null : device.longs(index)));
        });
    return new Segments(slots.length, list, table);
  }

  private long[] writtenSlots() {
    long[] slots = new long[inputs.rows()];
    for (int sequence = 0; sequence < inputs.sequences(); sequence++) {
      int first = inputs.firstRow()[sequence];
      for (int row = first; row < first + inputs.rowCount()[sequence]; row++) {
        slots[row] = inputs.kvSlot(sequence, inputs.positions()[row]);
      }
    }
    return slots;
  }

  private static long[] longs(int[] values) {
    return Arrays.stream(values).asLongStream().toArray();
  }

  @Override
  public void close() {
    scope.close();
  }
}
