/**
 * Judges a run from its numbers: what is wrong, on what evidence, and what to change. The trainer's
 * thread.
 *
 * <p>May import: train.watch.
 */
package io.chorale.train.watch.verdict;
