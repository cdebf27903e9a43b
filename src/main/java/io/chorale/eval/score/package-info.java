/**
 * Judges a generated answer against what was wanted: text, numbers, JSON fields, and code that is
 * run in a process of its own.
 *
 * <p>Owner thread: the caller's. May import: eval.
 */
package io.chorale.eval.score;
