/**
 * Commands on adapters: {@code chorale convert} and {@code chorale push}. Command-line thread.
 *
 * <p>May import: everything but app's other packages' internals.
 */
package io.chorale.app.adapter;
