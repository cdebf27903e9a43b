/**
 * What an adapter is: its targets, its weights on the host, and how they get into the kernel's
 * {@link io.chorale.kernel.LoraTable}. Values are immutable; {@link io.chorale.lora.LoraSlots}
 * belongs to the engine thread.
 *
 * <p>May import: kernel, format, quant.
 */
package io.chorale.lora;
