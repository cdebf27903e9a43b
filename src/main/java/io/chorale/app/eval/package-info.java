/**
 * {@code chorale eval}: flags to tests and candidates, models one after the other, a report.
 *
 * <p>Owner thread: the main thread. May import: app, app.store, eval and its sub-packages, model.
 */
package io.chorale.app.eval;
