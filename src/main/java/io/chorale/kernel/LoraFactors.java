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
