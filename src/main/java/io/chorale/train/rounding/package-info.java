/**
 * How a weight with its update becomes 4-bit again: one definition for the merge, which writes the
 * result, and for merge-aware training, which computes with it. Pure arithmetic on arrays.
 *
 * <p>Any thread; rows of a matrix are computed on the common pool.
 *
 * <p>May import: quant.
 */
package io.chorale.train.rounding;
