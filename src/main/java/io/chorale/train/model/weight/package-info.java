/**
 * The frozen base's weights as libtorch tensors in the form they are stored in, and their dense
 * form on demand. The trainer's thread.
 *
 * <p>May import: quant, tensor, train.model.math (Buffers), train.rounding, org.bytedeco.
 */
package io.chorale.train.model.weight;
