/**
 * Adapters from disk to leases. {@link io.chorale.adapter.AdapterLoader} turns a PEFT folder, an
 * MLX folder or a GGUF adapter into validated {@code LoraWeights} or refuses it with the precise
 * reason; {@link io.chorale.adapter.AdapterRegistry} publishes it as an immutable version of a
 * name, hands out leases, and keeps the registrations over restarts and kill -9.
 *
 * <p>Owner thread: none. Loads run on the caller's (worker) thread; leases are taken and returned
 * on any thread without blocking; {@code weights} is called on the thread that prepares adapters
 * for the engine. {@code read} and {@code write} know the file forms, {@code push} takes uploads.
 *
 * <p>May import: engine, model, lora, format, quant, Jackson.
 */
package io.chorale.adapter;
