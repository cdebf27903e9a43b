package io.chorale.kernel;

import io.chorale.quant.PackedMatrix;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import java.util.Arrays;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** {@link LoraTable} of libtorch tensors, each slot and module with its own rank. */
final class TorchLoraTable implements LoraTable {

  /**
   * One slot's factors of one module.
   *
   * @param a [rank, in]
   * @param b [out, rank], scaling multiplied in
   * @param bias [out], scaling multiplied in; null if none
   * @param rowScale [out], DoRA's magnitude over norm; null if none
   * @param replacement instead of a and b; null if none
   */
  record Entry(Tensor a, Tensor b, Tensor bias, Tensor rowScale, TorchWeight replacement) {
    void free() {
      for (Tensor tensor : new Tensor[] {a, b, bias, rowScale}) {
        if (tensor != null) {
          tensor.close();
        }
      }
      if (replacement != null) {
        replacement.dense().close();
      }
    }

    long bytes() {
      long sum = replacement == null ? 0 : replacement.bytes();
      for (Tensor tensor : new Tensor[] {a, b, bias, rowScale}) {
        sum += tensor == null ? 0 : 4 * tensor.numel();
      }
      return sum;
    }

    /** Rows cannot simply be added to: they are scaled or replaced. */
    boolean rewritesRows() {
      return rowScale != null || replacement != null;
    }
  }

  /** An adapter's entries by module; null where it changes nothing. */
  private record TorchPrepared(Entry[] entries, long bytes) implements Prepared {
    @Override
    public void close() {
      free(entries);
    }
  }

  private final TorchDevice device;
  private final Weight[] base;
  private final int embeddingModule;
  private final TorchPrepared[] seated;
  private final Function<PackedMatrix, TorchWeight> denseWeight;

  TorchLoraTable(
      TorchDevice device,
      int slots,
      Weight[] base,
      int embeddingModule,
      Function<PackedMatrix, TorchWeight> denseWeight) {
    this.device = device;
    this.base = base.clone();
    this.embeddingModule = embeddingModule;
    this.seated = new TorchPrepared[slots];
    this.denseWeight = denseWeight;
  }

  @Override
  public int slots() {
    return seated.length;
  }

  /** Null if the slot does not change the module. */
  Entry entry(int slot, int module) {
    return seated[slot] == null ? null : seated[slot].entries()[module];
  }

  @Override
  public Preparation prepare() {
    return new TorchPreparation();
  }

  /** Entries that become an adapter. */
  private final class TorchPreparation implements Preparation {
    private final Entry[] entries = new Entry[base.length];
    private boolean given;

    @Override
    public void add(int module, LoraFactors factors) {
      entries[module] = entryOf(module, factors);
    }

    @Override
    public Prepared finish() {
      given = true;
      long bytes = 0;
      for (Entry entry : entries) {
        bytes += entry == null ? 0 : entry.bytes();
      }
      return new TorchPrepared(entries, bytes);
    }

    @Override
    public void close() {
      if (!given) {
        free(entries);
      }
    }
  }

  private static void free(Entry[] entries) {
    for (int module = 0; module < entries.length; module++) {
      if (entries[module] != null) {
        entries[module].free();
        entries[module] = null;
      }
    }
  }

  private Entry entryOf(int module, LoraFactors factors) {
    Weight weight = base[module];
    boolean embedding = module == embeddingModule;
    int in = embedding ? weight.rows() : weight.cols();
    int out = embedding ? weight.cols() : weight.rows();
    if (factors.replacement() != null) {
      checkSize("replacement rows", factors.replacement().rows(), weight.rows());
      checkSize("replacement columns", factors.replacement().cols(), weight.cols());
      return new Entry(null, null, null, null, denseWeight.apply(factors.replacement()));
    }
    checkSize("lora_A elements", factors.a().length, factors.rank() * in);
    checkSize("lora_B elements", factors.b().length, out * factors.rank());
    try (Scope scope = Scope.open()) {
      Tensor a = device.floats(factors.a(), factors.rank(), in);
      Tensor b = device.floats(scaled(factors.b(), factors.scaling()), out, factors.rank());
      Tensor bias =
          factors.biasB() == null
              ? null
              : device.floats(scaled(factors.biasB(), factors.scaling()), out);
      Tensor rowScale = factors.magnitude() == null ? null : rowScale(module, factors, a, b);
      return new Entry(
          scope.escape(a),
          scope.escape(b),
          bias == null ? null : scope.escape(bias),
          rowScale == null ? null : scope.escape(rowScale),
          null);
    }
  }

  /**
   * DoRA: magnitude over the norm of the merged weight, per output: a row of a projection, a column
   * of the embedding (whose table is [vocab, hidden]).
   */
  private Tensor rowScale(int module, LoraFactors factors, Tensor a, Tensor b) {
    boolean embedding = module == embeddingModule;
    Tensor update = torch.mm(b, a);
    Tensor merged = (embedding ? update.t() : update).add(((TorchWeight) base[module]).dense());
    Tensor norm = merged.mul_(merged).sum(embedding ? 0 : 1).sqrt();
    return device.floats(factors.magnitude(), factors.magnitude().length).div_(norm);
  }

  @Override
  public void seat(int slot, Prepared adapter) {
    seated[slot] = (TorchPrepared) adapter;
  }

  @Override
  public void clear(int slot) {
    seated[slot] = null;
  }

  @Override
  public long bytes() {
    long sum = 0;
    for (TorchPrepared prepared : seated) {
      sum += prepared == null ? 0 : prepared.bytes();
    }
    return sum;
  }

  @Override
  public void close() {
    Arrays.fill(seated, null);
  }

  private static void checkSize(String what, long had, long wanted) {
    if (had != wanted) {
      throw new IllegalArgumentException("%s: had %d, wanted %d".formatted(what, had, wanted));
    }
  }

  private static float[] scaled(float[] values, float factor) {
    float[] out = new float[values.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = values[i] * factor;
    }
    return out;
  }
}
