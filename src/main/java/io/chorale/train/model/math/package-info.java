/**
 * Forward and backward formulas of the decoder's parts on libtorch tensors, without autograd, and
 * the reused memory they work in. Large element-wise work goes in chunks of rows that stay in a
 * core's cache. The trainer's thread; every call needs an open {@link io.chorale.tensor.Scope} and
 * {@link io.chorale.tensor.GradMode} off.
 *
 * <p>May import: train.data, model (RopeSpec), tensor, org.bytedeco.
 */
package io.chorale.train.model.math;
