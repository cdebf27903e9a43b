/**
 * Data files as rows with line numbers: JSONL, JSON arrays, CSV. What cannot be read is a {@link
 * io.chorale.train.data.read.Finding} at its line, never an exception halfway through a file and
 * never a row that is missing without a word. Knows nothing of what a row means.
 *
 * <p>Owner thread: a source belongs to the thread that reads it; rows and findings are immutable.
 *
 * <p>May import: the JDK, Jackson, FastCSV. Never another package of Chorale.
 */
package io.chorale.train.data.read;
