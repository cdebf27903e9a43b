package io.chorale.lora;

import io.chorale.format.TensorData;

/**
 * What one adapter does to one module, on the host, in the file's own element type.
 *
 * <pre>
 *   y = m * (W x + scaling * (B (A x) + bias_B)) + bias_W      m = 1 without DoRA
 * </pre>
 *
 * Either a low-rank update ({@code a} and {@code b}) or a whole replacement ({@code replacement},
 * from {@code modules_to_save}), never both. For EMBED_TOKENS {@code a} is PEFT's lora_embedding_A
 * [rank, vocab] and {@code b} is lora_embedding_B [hidden, rank].
 *
 * @param rank of the update; 0 for a replacement
 * @param scaling alpha / rank, or alpha / sqrt(rank) for rsLoRA; already resolved with the patterns
 * @param a [rank, in]
 * @param b [out, rank]
 * @param bias [out], added after B (lora_bias); null if none
 * @param magnitude [out], DoRA's m before division by the norm; null if none
 * @param replacement [out, in], used instead of the base's weight; null if none
 */
public record LoraModule(
    int rank,
    float scaling,
    TensorData a,
    TensorData b,
    TensorData bias,
    TensorData magnitude,
    TensorData replacement) {}
