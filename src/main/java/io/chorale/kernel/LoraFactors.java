package io.chorale.kernel;

import io.chorale.quant.PackedMatrix;

/**
 * One adapter's change to one module as host arrays, on its way into a {@link LoraTable}.
 *
 * <pre>
 *   y = (m / |W + scaling B A|) * (W x + scaling * (B (A x) + biasB)) + bias
 *   a [rank, in]   b [out, rank]   biasB [out] or null   magnitude [out] (DoRA's m) or null
 * </pre>
 *
 * The norm is taken per output. For the embedding {@code in} is the vocabulary and {@code out} the
 * hidden width, so the norm runs over a column of its [vocab, hidden] table.
 *
 * @param rank of the update; 0 if {@code replacement} stands in for the base's weight
 * @param replacement [out, in], or null
 */
public record LoraFactors(
    int rank,
    float scaling,
    float[] a,
    float[] b,
    float[] biasB,
    float[] magnitude,
    PackedMatrix replacement) {}
