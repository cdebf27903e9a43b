package io.chorale.kernel;

import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.kernel.Precision.KvCache;
import io.chorale.quant.PackedMatrix;
import java.lang.ref.Reference;

/**
 * {@link Ops} in C++ on the CPU, the serving path: 4-bit weights stay 4-bit, inputs of Q4, Q8 and
 * fast NF4 weights are rounded to int8 in blocks of 32, keys and values are half precision or int8
 * ({@link Precision}), everything else is float32. No libtorch.
 *
 * <p>Batch-invariant: for one instruction set a row's result has the same bits alone and in any
 * batch, chunking, number of threads and beside any adapters.
 *
 * <p>Within, of a row's largest value, against float64 on {@code OpsContract}'s inputs: 2e-2 for
 * Q4, Q8 and fast NF4 weights, 1e-3 with LoRA on other weights, 4e-3 for attention (with int8 pages
 * 1e-4 of what the rounded keys and values give), 2e-5 otherwise. Engine thread; uses {@code
 * threads - 1} threads of its own, which sleep between steps.
 */
public final class NativeOps implements Ops, AutoCloseable {
  private final InstructionSet set;
  private final Precision precision;
  private final NativeHandle handle;
  private NativeStepRows stepRows;

  /** With {@link Precision#DEFAULT}. */
  public NativeOps(InstructionSet set, int threads) {
    this(set, threads, Precision.DEFAULT);
  }

  /**
   * @param threads that compute, the caller's included
   * @throws IllegalStateException if the library is not loaded
   * @throws IllegalArgumentException if this machine lacks the instructions
   */
  public NativeOps(InstructionSet set, int threads, Precision precision) {
    if (NativeLibrary.failure().isPresent()) {
      throw new IllegalStateException("native kernels: " + NativeLibrary.failure().get());
    }
    if (threads < 1) {
      throw new IllegalArgumentException("%d threads, wanted at least 1".formatted(threads));
    }
    long context = NativeCalls.open(set.ordinal(), threads);
    if (context == 0) {
      throw new IllegalArgumentException(
          "this machine has no %s, wanted one of %s"
              .formatted(set.label(), NativeLibrary.supported()));
    }
    this.set = set;
    this.precision = precision;
    this.handle = NativeHandle.of(context, NativeCalls::close);
    this.stepRows = new NativeStepRows(handle);
  }

  private record NativeKvPages(NativeHandle handle, long bytes) implements KvPages {
    @Override
    public void close() {
      handle.close();
    }
  }

  @Override
  public String name() {
    return "native-" + set.label();
  }

  @Override
  public ThreadBinding bindThread() {
    return () -> {};
  }

  @Override
  public Matrix matrix(int rows, int cols) {
    return NativeMatrix.allocate(rows, cols);
  }

  @Override
  public Matrix matrix(int rows, int cols, float[] values) {
    NativeMatrix matrix = NativeMatrix.allocate(rows, cols);
    NativeCalls.write(NativeMatrix.address(matrix), values, rows * cols);
    return matrix;
  }

  @Override
  public Weight weight(PackedMatrix packed) {
    return NativeWeight.of(packed, precision.nf4());
  }

  @Override
  public int kvPositionBytes(int kvHeads, int headDim) {
    return kvHeads * precision.kvHeadBytes(headDim);
  }

  @Override
  public KvPages kvPages(int layers, int kvSlots, AttentionShape shape) {
    long address =
        NativeCalls.kvPages(
            layers,
            kvSlots,
            shape.heads(),
            shape.kvHeads(),
            shape.headDim(),
            shape.window(),
            precision.kvCache() == KvCache.Q8);
    return new NativeKvPages(
        NativeHandle.of(address, NativeCalls::kvFree), NativeCalls.kvBytes(address));
  }

  @Override
  public LoraTable loraTable(int slots, Weight[] base, int embeddingModule) {
    return new NativeLoraTable(slots, base, embeddingModule);
  }

  @Override
  public StepRows begin(ForwardInputs inputs, float[] inverseFrequencies, LoraTable lora) {
    if (!stepRows.isFree()) { // not one after the other, as engines have them
      stepRows = new NativeStepRows(handle);
    }
    return stepRows.begin(inputs, inverseFrequencies, (NativeLoraTable) lora);
  }

  @Override
  public void embed(Linear table, StepRows rows, Matrix out) {
    NativeCalls.embed(
        step(rows), NativeWeight.address(table.weight()), table.module(), address(out));
    keep(table, rows, out);
  }

  @Override
  public void rmsNorm(Matrix x, Matrix weight, float eps, Matrix out) {
    NativeCalls.rmsNorm(
        handle.address(), address(x), x.rows(), x.cols(), address(weight), eps, address(out));
    keep(x, weight, out);
  }

  @Override
  public void linear(Matrix x, Linear linear, RowSlots slots, boolean accumulate, Matrix out) {
    NativeCalls.linear(
        ((NativeStepRows.Rows) slots).address(),
        address(x),
        NativeWeight.address(linear.weight()),
        address(linear.bias()),
        linear.module(),
        accumulate,
        address(out));
    keep(x, linear, out);
    keep(slots, linear, this);
  }

  @Override
  public void ropeAndStoreKv(
      Matrix q, Matrix k, Matrix v, StepRows rows, KvPages pages, int layer) {
    NativeCalls.ropeAndStoreKv(step(rows), address(q), address(k), address(v), pages(pages), layer);
    keep(q, k, v);
    keep(rows, pages, this);
  }

  @Override
  public void pagedAttention(
      Matrix q, StepRows rows, KvPages pages, int layer, AttentionShape shape, Matrix out) {
    NativeCalls.pagedAttention(step(rows), address(q), pages(pages), layer, address(out));
    keep(q, pages, out);
  }

  @Override
  public void siluMul(Matrix gate, Matrix up) {
    NativeCalls.siluMul(
        handle.address(), address(gate), address(up), (long) gate.rows() * gate.cols());
    keep(gate, up, this);
  }

  @Override
  public void gatherLogitRows(Matrix x, StepRows rows, Matrix out) {
    NativeCalls.gatherLogitRows(step(rows), address(x), x.cols(), address(out));
    keep(x, rows, out);
  }

  @Override
  public void read(Matrix matrix, float[] out) {
    NativeCalls.read(address(matrix), out, matrix.rows() * matrix.cols());
    keep(matrix, out, this);
  }

  /** Ends the threads; matrices and weights live on. Not while a step runs. */
  @Override
  public void close() {
    handle.close();
  }

  /** A matrix of which only the address is still used could be freed during the call. */
  private static void keep(Object a, Object b, Object c) {
    Reference.reachabilityFence(a);
    Reference.reachabilityFence(b);
    Reference.reachabilityFence(c);
  }

  private static long address(Matrix matrix) {
    return NativeMatrix.address(matrix);
  }

  private static long step(StepRows rows) {
    return ((NativeStepRows) rows).address();
  }

  private static long pages(KvPages pages) {
    return ((NativeKvPages) pages).handle().address();
  }
}
