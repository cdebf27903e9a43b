/**
 * A run as one HTML file that needs nothing else: figures, verdicts, plots, sample answers, data,
 * configuration. The trainer's thread.
 *
 * <p>May import: train.watch.
 */
package io.chorale.train.watch.report;
