/**
 * An adapter that was read and checked, written in another program's form: PEFT's folder or
 * llama.cpp's GGUF file. What the form cannot say exactly is refused by name. Stateless; any
 * thread.
 *
 * <p>May import: adapter.read, lora, model, format, quant.
 */
package io.chorale.adapter.write;
