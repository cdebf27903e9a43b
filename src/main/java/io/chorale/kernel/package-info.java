/**
 * The operations of a forward pass on preallocated matrices ({@link io.chorale.kernel.Ops}), the
 * weights in the layout that they want, and the resident LoRA factors. One thread at a time: the
 * engine's. {@link io.chorale.kernel.TorchOps} is the reference on the CPU and the path on CUDA;
 * the native CPU kernels take their seat beside it.
 *
 * <p>May import: quant, tensor, org.bytedeco.
 */
package io.chorale.kernel;
