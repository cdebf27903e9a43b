/**
 * Parquet files as rows of named values: schema, pages, encodings, nested columns. Read-only, one
 * row group in memory at a time. Made for training data, whose conversations are nested columns:
 * the readers that exist for Java 17 read none, or want Hadoop.
 *
 * <p>Source: apache/parquet-format (README, Encodings, LogicalTypes, parquet.thrift). One thread.
 * May import: train.data.read.
 */
package io.chorale.train.data.parquet;
