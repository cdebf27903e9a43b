/**
 * Speculation without a second model: what a sequence probably says next, because it said it
 * before, and how many rows of a step such guesses are worth. Ids, counts and measured times; no
 * tensor, text or clock.
 *
 * <p>Owner: the engine thread; nothing here takes a lock. May import: {@code java} alone.
 */
package io.chorale.sched.draft;
