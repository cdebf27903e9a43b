/**
 * What the trainer is given to tell its events to: the screen, the files, the report and the
 * verdicts of one run, tied together. The trainer's thread.
 *
 * <p>May import: train.watch and its sub-packages.
 */
package io.chorale.train.watch.run;
