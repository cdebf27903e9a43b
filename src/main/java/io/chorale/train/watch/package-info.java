/**
 * Watching a training run. Here: its events, verdicts as values, and what has happened so far. In
 * sub-packages: {@code verdict} judges, {@code screen} paints the terminal, {@code file} writes
 * metrics.jsonl and TensorBoard files, {@code report} writes report.html, {@code run} ties them
 * together for the trainer. Knows no tensor. The trainer's thread; the screen has a clock of its
 * own.
 *
 * <p>May import: nothing of ours, its sub-packages only each other and this.
 */
package io.chorale.train.watch;
