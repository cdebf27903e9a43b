/**
 * Perplexity of texts in strided windows.
 *
 * <p>Owner thread: the caller's. May import: eval, eval.run, text.
 */
package io.chorale.eval.perplexity;
