/**
 * The result of an evaluation for people and machines: a table, JSON, Markdown, one HTML page with
 * plots, and a line per document.
 *
 * <p>Owner thread: the caller's; writes files. May import: eval, eval.stat.
 */
package io.chorale.eval.report;
