package io.chorale.train.model;

import io.chorale.train.model.math.Buffers;
import io.chorale.train.model.math.DropoutMask;
import io.chorale.train.model.math.Rope;
import io.chorale.train.model.math.SequenceAttention;

/**
 * What the layers share while some whole sequences go through them.
 *
 * @param work scratch memory that any step may overwrite
 * @param tape one layer's, from its forward to its backward
 * @param starts first row of each sequence, then the number of rows
 * @param dropout null if nothing is dropped
 * @param dropoutSeed of this pass; modules mix their own index into it
 */
record Pass(
    Buffers work,
    Buffers tape,
    int[] starts,
    Rope.Angles angles,
    SequenceAttention attention,
    DropoutMask dropout,
    long dropoutSeed) {

  int rows() {
    return starts[starts.length - 1];
  }

  Pass onto(Buffers other) {
    return new Pass(work, other, starts, angles, attention, dropout, dropoutSeed);
  }
}
