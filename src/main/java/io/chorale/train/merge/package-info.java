/**
 * Merging an adapter into its base: {@code W + scaling * B A} (DoRA renormalised), written as a
 * Hugging Face folder, as GGUF, or back into 4 bits with a report of how much of the update
 * survives the rounding. One matrix is in memory at a time; nothing is visible under the final name
 * before it is whole and on the disk.
 *
 * <p>Owner thread: the caller's; rows of a matrix are computed on the common pool.
 *
 * <p>May import: train.rounding, lora, model, format, quant, text, tensor, Jackson. The adapter is
 * handed in.
 */
package io.chorale.train.merge;
