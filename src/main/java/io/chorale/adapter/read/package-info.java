/**
 * What an adapter's files mean for one base model: options and named tensors in, validated {@code
 * LoraModule}s out, or an {@code IllegalArgumentException} with the precise reason. PEFT's matching
 * rules, MLX's names and scale, and the GGUF adapter's names, scale and row order live here; paths
 * and names of adapters do not.
 *
 * <p>Owner thread: none; every class is stateless or used by one caller. May import: model, lora,
 * format, quant.
 */
package io.chorale.adapter.read;
