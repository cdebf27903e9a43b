/**
 * The training run: rows in a seeded order, packed into micro-batches, one visible loop over them,
 * texts on which the model is held to its base, evaluation, and a stop that loses nothing. The
 * trainer's thread; only {@link io.chorale.train.Trainer#requestStop} may be called from another.
 *
 * <p>May import: train.config, train.data, train.model, train.optim, train.rounding, train.save,
 * train.watch, quant.
 */
package io.chorale.train;
