package io.chorale.kernel;

import io.chorale.kernel.Precision.KvCache;
import io.chorale.kernel.Precision.Nf4;
import io.chorale.kernel.TorchOps.WeightForm;
import io.chorale.tensor.TorchDevice;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;

/** Chooses the {@link Ops} of a process. Any thread. */
public final class Kernels {
  private static final Logger LOG = System.getLogger(Kernels.class.getName());

  private Kernels() {}

  /** With {@link Precision#DEFAULT}. */
  public static Ops choose(String kernels, String device, int threads) {
    return choose(kernels, device, threads, Precision.DEFAULT);
  }

  /**
   * @param kernels {@code auto} is native on the CPU where it loads, else torch; {@code native} or
   *     {@code torch} insists
   * @param device cpu or cuda; on cuda there is only torch
   * @param threads that compute
   * @param precision anything but the default wants native kernels
   * @throws IllegalArgumentException if the combination is unknown or impossible
   * @throws IllegalStateException if native kernels are insisted on and do not load, with the
   *     reason
   */
  public static Ops choose(String kernels, String device, int threads, Precision precision) {
    boolean cpu = device.equalsIgnoreCase("cpu");
    switch (kernels) {
      case "native" -> {
        if (!cpu) {
          throw new IllegalArgumentException(
              "kernels is 'native' on device '%s', wanted device cpu or kernels torch"
                  .formatted(device));
        }
        return new NativeOps(NativeLibrary.chosen(), threads, precision);
      }
      case "auto" -> {
        if (cpu && NativeLibrary.failure().isEmpty()) {
          return new NativeOps(NativeLibrary.chosen(), threads, precision);
        }
        if (cpu) {
          LOG.log(
              Level.WARNING,
              "NO NATIVE CPU KERNELS, libtorch computes instead, many times slower: "
                  + NativeLibrary.failure().orElseThrow());
        }
        return torch(device, threads, precision);
      }
      case "torch" -> {
        return torch(device, threads, precision);
      }
      default ->
          throw new IllegalArgumentException(
              "kernels is '%s', wanted auto, native or torch".formatted(kernels));
    }
  }

  private static Ops torch(String device, int threads, Precision precision) {
    if (precision.nf4() == Nf4.FAST) {
      throw new IllegalArgumentException(
          "nf4 is 'fast', libtorch's kernels know exact only; wanted nf4 exact, or kernels native on"
              + " device cpu");
    }
    if (precision.kvCache() == KvCache.Q8) {
      throw new IllegalArgumentException(
          "kv-cache is 'q8', libtorch's kernels keep float32; wanted kv-cache f16, or kernels native"
              + " on device cpu");
    }
    TorchDevice where = TorchDevice.parse(device);
    TorchDevice.threads(threads);
    return new TorchOps(where, where == TorchDevice.CUDA ? WeightForm.PACKED : WeightForm.DENSE);
  }
}
