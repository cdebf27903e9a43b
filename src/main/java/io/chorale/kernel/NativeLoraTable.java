package io.chorale.kernel;

import io.chorale.quant.PackedMatrix;

/**
 * {@link LoraTable} in native memory: factors as half precision, each matrix scaled by a power of
 * two so that its small values keep their digits, biases and DoRA's row scales as float32.
 */
final class NativeLoraTable implements LoraTable {
  private final int slots;
  private final Weight[] base;
  private final int embeddingModule;
  private final NativeHandle handle;

  NativeLoraTable(int slots, Weight[] base, int embeddingModule) {
    this.slots = slots;
    this.base = base.clone();
    this.embeddingModule = embeddingModule;
    this.handle = NativeHandle.of(NativeCalls.loraTable(slots, base.length), NativeCalls::loraFree);
  }

  long address() {
    return handle.address();
  }

  @Override
  public int slots() {
    return slots;
  }

  @Override
  public void fill(int slot, int module, LoraFactors factors) {
    Weight weight = base[module];
    long entry =
        factors.replacement() == null
            ? entry(weight, module == embeddingModule, factors)
            : replacement(weight, factors.replacement());
    NativeCalls.loraPut(address(), slot, module, entry);
  }

  private static long replacement(Weight weight, PackedMatrix other) {
    checkSize("replacement rows", other.rows(), weight.rows());
    checkSize("replacement columns", other.cols(), weight.cols());
    return NativeWeight.replacement(other);
  }

  private static long entry(Weight weight, boolean embedding, LoraFactors factors) {
    int in = embedding ? weight.rows() : weight.cols();
    int out = embedding ? weight.cols() : weight.rows();
    checkSize("lora_A elements", factors.a().length, (long) factors.rank() * in);
    checkSize("lora_B elements", factors.b().length, (long) out * factors.rank());
    if (factors.biasB() != null) {
      checkSize("lora_B bias elements", factors.biasB().length, out);
    }
    if (factors.magnitude() != null) {
      checkSize("magnitudes", factors.magnitude().length, out);
    }
    float[][] arrays = {factors.a(), factors.b(), factors.biasB(), factors.magnitude()};
    return NativeCalls.loraEntry(
        NativeWeight.address(weight), embedding, factors.rank(), factors.scaling(), arrays);
  }

  @Override
  public void clear(int slot) {
    for (int module = 0; module < base.length; module++) {
      NativeCalls.loraPut(address(), slot, module, 0);
    }
  }

  @Override
  public long bytes() {
    return NativeCalls.loraBytes(address());
  }

  @Override
  public void close() {
    handle.close();
  }

  private static void checkSize(String what, long had, long wanted) {
    if (had != wanted) {
      throw new IllegalArgumentException("%s: had %d, wanted %d".formatted(what, had, wanted));
    }
  }
}
