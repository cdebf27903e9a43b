/**
 * What a training run will take, from sizes alone, before weights are loaded: resident memory by
 * item, steps, tokens, time, and what to change if it is too much. Follows what {@code train.model}
 * and {@code train.optim} keep; the constants are measured (docs/watching-a-run.md). Any thread.
 *
 * <p>May import: train.model (the adapter's terms), model, lora, quant, tensor (one measured
 * product).
 */
package io.chorale.train.plan;
