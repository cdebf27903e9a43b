/**
 * Evaluation: what every sub-package shares, which is how one number of one test is kept and how an
 * evaluation is told off.
 *
 * <p>Owner thread: the caller's. May import: nothing of Chorale.
 */
package io.chorale.eval;
