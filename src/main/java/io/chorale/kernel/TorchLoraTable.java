package io.chorale.kernel;

import io.chorale.quant.PackedMatrix;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
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

  private final TorchDevice device;
  private final Weight[] base;
  private final int embeddingModule;
  private final Entry[][] entries;
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
    this.entries = new Entry[slots][base.length];
    this.denseWeight = denseWeight;
  }

  @Override
  public int slots() {
    return entries.length;
  }

  /** Null if the slot does not change the module. */
  Entry entry(int slot, int module) {
    return entries[slot][module];
  }

  @Override
  public void fill(int slot, int module, LoraFactors factors) {
    Weight weight = base[module];
    boolean embedding = module == embeddingModule;
    int in = embedding ? weight.rows() : weight.cols();
    int out = embedding ? weight.cols() : weight.rows();
    if (factors.replacement() != null) {
      checkSize("replacement rows", factors.replacement().rows(), weight.rows());
      checkSize("replacement columns", factors.replacement().cols(), weight.cols());
      entries[slot][module] =
          new Entry(null, null, null, null, denseWeight.apply(factors.replacement()));
      return;
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
      entries[slot][module] =
          new Entry(
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
  public void clear(int slot) {
    for (int module = 0; module < base.length; module++) {
      if (entries[slot][module] != null) {
        entries[slot][module].free();
        entries[slot][module] = null;
      }
    }
  }

  @Override
  public long bytes() {
    long sum = 0;
    for (Entry[] slot : entries) {
      for (Entry entry : slot) {
        sum += entry == null ? 0 : entry.bytes();
      }
    }
    return sum;
  }

  @Override
  public void close() {
    for (int slot = 0; slot < entries.length; slot++) {
      clear(slot);
    }
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
