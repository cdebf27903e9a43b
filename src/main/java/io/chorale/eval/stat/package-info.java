/**
 * Intervals by resampling documents, differences to the base paired by document, and the verdict
 * over what was forgotten.
 *
 * <p>Any thread. May import: eval.
 */
package io.chorale.eval.stat;
