package io.chorale.train.model;

import io.chorale.train.model.math.Buffers;
import io.chorale.train.model.math.DropoutMask;
import io.chorale.train.model.math.Rope;
import io.chorale.train.model.math.SequenceAttention;
import io.chorale.train.model.math.SequenceBundles;

/**
 * What the layers share while some whole sequences go through them.
 *
 * @param work scratch memory that any step may overwrite
 * @param tape one layer's, from its forward to its backward
 * @param bundles the sequences, as attention takes them, and the rows
 * @param dropout null if nothing is dropped
 * @param dropoutSeed of this pass; modules mix their own index into it
 * @param adapted whether updates are computed; without them the base alone answers, forward only
 */
record Pass(
    Buffers work,
    Buffers tape,
    SequenceBundles.Placed bundles,
    Rope.Angles angles,
    SequenceAttention attention,
    DropoutMask dropout,
    long dropoutSeed,
    boolean adapted) {

  int rows() {
    return bundles.rows();
  }

  Pass onto(Buffers other) {
    return new Pass(work, other, bundles, angles, attention, dropout, dropoutSeed, adapted);
  }

  /** The same sequences through the base alone. */
  Pass ofBase() {
    return new Pass(work, tape, bundles, angles, attention, null, 0, false);
  }
}
