/**
 * Generate-and-score: prompts of a test file, greedy answers, a score each. Also how rows become
 * prompts.
 *
 * <p>Owner thread: the caller's. May import: eval, eval.run, eval.score, text.
 */
package io.chorale.eval.answer;
