/**
 * The decoder that can be trained: forward and hand-written backward over libtorch, one layer of
 * the 4-bit base dequantized at a time, and its trainable parameters. One thread at a time (the
 * trainer's).
 *
 * <p>May import: train.data, train.rounding, model, lora, format, quant, tensor.
 */
package io.chorale.train.model;
