/**
 * Bytes to records and back, no policy: readers of GGUF and safetensors files that check every
 * header before anything believes it, and refuse by naming the file, what it had and what was
 * wanted; and writers that stream tensors front to back.
 *
 * <p>Owner thread: none; readers are immutable after opening, any thread may ask for tensors. May
 * import: {@code quant}, {@code lora}, Jackson's streaming parser.
 */
package io.chorale.format;
