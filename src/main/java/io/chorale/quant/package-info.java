/**
 * Block formats as arithmetic on arrays: GGUF's Q4_0, Q4_1, Q4_K, Q5_K, Q6_K, Q8_0, the float
 * types, and bitsandbytes' NF4 with and without double quantization. Unpack is bit-exact with the
 * format's own reference, pack likewise where a reference exists.
 *
 * <p>Owner thread: none; everything is immutable or static. May import: java only.
 */
package io.chorale.quant;
