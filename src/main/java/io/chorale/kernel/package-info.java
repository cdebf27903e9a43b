/**
 * The operations of a forward pass on preallocated matrices ({@link io.chorale.kernel.Ops}), the
 * weights in the layout that they want, and the resident LoRA factors. One thread at a time: the
 * engine's. {@link io.chorale.kernel.NativeOps} is the CPU's serving path, C++ in {@code
 * src/main/cpp}; {@link io.chorale.kernel.TorchOps} is its reference, and the path on CUDA; {@link
 * io.chorale.kernel.Kernels} chooses.
 *
 * <p>May import: quant, tensor, org.bytedeco.
 */
package io.chorale.kernel;
