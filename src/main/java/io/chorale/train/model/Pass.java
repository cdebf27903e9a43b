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
 */
record Pass(
    Buffers work,
    Buffers tape,
    SequenceBundles.Placed bundles,
    Rope.Angles angles,
    SequenceAttention attention,
    DropoutMask dropout,
    long dropoutSeed) {

  int rows() {
    return bundles.rows();
  }

  Pass onto(Buffers other) {
    return new Pass(work, other, bundles, angles, attention, dropout, dropoutSeed);
  }
}
