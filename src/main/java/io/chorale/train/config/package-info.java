/**
 * What a training run is asked to do: its flags with their bounds and defaults, read from the
 * command line or YAML into one validated record, and written back. Values only; any thread.
 *
 * <p>May import: train.data, train.model, train.optim, train.rounding, jackson.
 */
package io.chorale.train.config;
