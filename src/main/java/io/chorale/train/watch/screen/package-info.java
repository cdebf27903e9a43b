/**
 * A run on the terminal: repainted in place, or plain lines where that is not wanted. Events come
 * on the trainer's thread; a daemon thread of the screen's own moves the clock in between.
 *
 * <p>May import: train.watch.
 */
package io.chorale.train.watch.screen;
