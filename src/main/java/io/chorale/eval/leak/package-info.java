/**
 * Whether test questions stand in training data.
 *
 * <p>Any thread. May import: eval, eval.run.
 */
package io.chorale.eval.leak;
