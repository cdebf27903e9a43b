/**
 * Data to train on: rows of Alpaca, OpenAI messages, ShareGPT, prompt and completion, or plain text
 * become {@link io.chorale.train.data.SftExample}s, ids with labels that cover the answers and
 * their end-of-turn tokens only. Nothing is dropped or cut without a {@link
 * io.chorale.train.data.read.Finding}. {@code read} and {@code parquet} hold the file formats,
 * {@code check} the {@code data check} command's work.
 *
 * <p>Owner thread: a file belongs to the thread that reads it; parsing and encoding of a row run on
 * any thread.
 *
 * <p>May import: the JDK, Jackson, {@code io.chorale.text}.
 */
package io.chorale.train.data;
