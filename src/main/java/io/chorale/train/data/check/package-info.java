/**
 * The work of {@code data check}: texts, duplicates, leaks, lengths and labels of every row, a
 * report for people and programs, and the cleaned file.
 *
 * <p>Owner thread: {@link io.chorale.train.data.check.DataCheck#run} reads, compares and writes on
 * its caller's thread and looks at single rows on the common pool.
 *
 * <p>May import: the JDK, Jackson, FastCSV, {@code io.chorale.train.data}.
 */
package io.chorale.train.data.check;
