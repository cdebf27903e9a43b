package io.chorale.model;

import io.chorale.kernel.Matrix;
import io.chorale.kernel.Ops;

/** Matrices that every layer reuses, sized for the largest step; {@link #top} cuts them to one. */
record Workspace(
    Matrix x,
    Matrix h,
    Matrix q,
    Matrix k,
    Matrix v,
    Matrix mixed,
    Matrix gate,
    Matrix up,
    Matrix gathered,
    Matrix logits) {

  static Workspace allocate(Ops ops, ModelSpec spec, int rows, int logitRows) {
    return new Workspace(
        ops.matrix(rows, spec.hidden()),
        ops.matrix(rows, spec.hidden()),
        ops.matrix(rows, spec.qWidth()),
        ops.matrix(rows, spec.kvWidth()),
        ops.matrix(rows, spec.kvWidth()),
        ops.matrix(rows, spec.qWidth()),
        ops.matrix(rows, spec.intermediate()),
        ops.matrix(rows, spec.intermediate()),
        ops.matrix(rows, spec.hidden()),
        ops.matrix(logitRows, spec.vocab()));
  }

  Workspace top(int rows) {
    return new Workspace(
        x.top(rows),
        h.top(rows),
        q.top(rows),
        k.top(rows),
        v.top(rows),
        mixed.top(rows),
        gate.top(rows),
        up.top(rows),
        gathered,
        logits);
  }
}
