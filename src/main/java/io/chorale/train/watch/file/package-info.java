/**
 * A run's events as files: metrics.jsonl, which can be read back, and TensorBoard event files. A
 * killed process leaves whole records and at most one torn one, which reading leaves out. The
 * trainer's thread.
 *
 * <p>May import: train.watch.
 */
package io.chorale.train.watch.file;
