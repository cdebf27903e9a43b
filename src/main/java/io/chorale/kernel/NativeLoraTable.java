package io.chorale.kernel;

import io.chorale.quant.PackedMatrix;

/**
 * {@link LoraTable} in native memory: factors as half precision, each matrix scaled by a power of
 * two so that its small values keep their digits, biases and DoRA's row scales as float32. An
 * adapter lies in one piece of memory, which goes back to the system when it is closed.
 */
final class NativeLoraTable implements LoraTable {

  /** A set that is packed. */
  private record NativePrepared(NativeHandle handle, long bytes) implements Prepared {
    @Override
    public void close() {
      handle.close();
    }
  }

  private final Weight[] base;
  private final int embeddingModule;
  private final NativePrepared[] seated; // reachable as long as the table points to them
  private final NativeHandle handle;

  NativeLoraTable(int slots, Weight[] base, int embeddingModule) {
    this.base = base.clone();
    this.embeddingModule = embeddingModule;
    this.seated = new NativePrepared[slots];
    this.handle = NativeHandle.of(NativeCalls.loraTable(slots, base.length), NativeCalls::loraFree);
  }

  long address() {
    return handle.address();
  }

  @Override
  public int slots() {
    return seated.length;
  }

  @Override
  public Preparation prepare() {
    return new NativePreparation();
  }

  /** A set that grows. */
  private final class NativePreparation implements Preparation {
    private final NativeHandle set =
        NativeHandle.of(NativeCalls.loraSet(base.length), NativeCalls::loraSetFree);
    private boolean given;

    @Override
    public void add(int module, LoraFactors factors) {
      Weight weight = base[module];
      if (factors.replacement() == null) {
        addFactors(module, weight, factors);
      } else {
        PackedMatrix other = factors.replacement();
        checkSize("replacement rows", other.rows(), weight.rows());
        checkSize("replacement columns", other.cols(), weight.cols());
        NativeCalls.loraReplace(set.address(), module, NativeWeight.replacement(other));
      }
    }

    private void addFactors(int module, Weight weight, LoraFactors factors) {
      boolean embedding = module == embeddingModule;
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
      NativeCalls.loraAdd(
          set.address(),
          module,
          NativeWeight.address(weight),
          embedding,
          factors.rank(),
          factors.scaling(),
          new float[][] {factors.a(), factors.b(), factors.biasB(), factors.magnitude()});
    }

    @Override
    public Prepared finish() {
      long bytes = NativeCalls.loraPack(set.address());
      given = true;
      return new NativePrepared(set, bytes);
    }

    @Override
    public void close() {
      if (!given) {
        set.close();
      }
    }
  }

  @Override
  public void seat(int slot, Prepared adapter) {
    NativePrepared prepared = (NativePrepared) adapter;
    NativeCalls.loraSeat(address(), slot, prepared.handle().address());
    seated[slot] = prepared;
  }

  @Override
  public void clear(int slot) {
    NativeCalls.loraSeat(address(), slot, 0);
    seated[slot] = null;
  }

  @Override
  public long bytes() {
    long sum = 0;
    for (NativePrepared prepared : seated) {
      sum += prepared == null ? 0 : prepared.bytes();
    }
    return sum;
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
