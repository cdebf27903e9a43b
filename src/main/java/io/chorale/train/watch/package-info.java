/**
 * Watching a training run: its events, the terminal screen, metrics.jsonl, TensorBoard files, the
 * report and the verdicts. Knows no tensor. The trainer's thread.
 *
 * <p>May import: nothing of ours.
 */
package io.chorale.train.watch;
