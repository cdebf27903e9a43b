/**
 * The commands around training. They open files and models and hand them to {@code
 * io.chorale.train}; none of them needs Quarkus. The main thread.
 *
 * <p>May import: everything but serve, engine and Quarkus.
 */
package io.chorale.app.train;
