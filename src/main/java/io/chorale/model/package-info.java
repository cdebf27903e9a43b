/**
 * The base model: its shapes and options from its own files, its weights by module, and the
 * readable forward pass ({@link io.chorale.model.CausalLm}) over {@code kernel.Ops}. Loading is
 * single-threaded; the forward pass belongs to the engine thread.
 *
 * <p>May import: lora, kernel, format, quant.
 */
package io.chorale.model;
