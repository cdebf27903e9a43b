/**
 * Optimizers over a model's trained parameters, their state in memory or in a mapped file, gradient
 * clipping and learning-rate schedules. Arithmetic is Java's own, element by element, so results
 * depend neither on threads nor on the CPU. One caller at a time (the trainer's thread).
 *
 * <p>May import: train.model, tensor, org.bytedeco.
 */
package io.chorale.train.optim;
