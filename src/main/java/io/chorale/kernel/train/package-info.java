/**
 * What the trainer computes between its matrix products, in C++ ({@code src/main/cpp/train.h}) on
 * libtorch's tensors: {@link io.chorale.kernel.train.TrainKernels}. On libtorch's own threads, one
 * call at a time: the trainer's.
 *
 * <p>May import: kernel, org.bytedeco.
 */
package io.chorale.kernel.train;
