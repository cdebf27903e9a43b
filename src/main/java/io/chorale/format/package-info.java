/**
 * Bytes to records, no policy: readers of GGUF and safetensors files that check every header before
 * anything believes it, and refuse by naming the file, what it had and what was wanted.
 *
 * <p>Owner thread: none; readers are immutable after opening, any thread may ask for tensors. May
 * import: {@code quant}, {@code lora}, Jackson's streaming parser.
 */
package io.chorale.format;
