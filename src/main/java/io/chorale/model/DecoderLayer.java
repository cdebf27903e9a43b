package io.chorale.model;

import io.chorale.kernel.AttentionShape;
import io.chorale.kernel.KvPages;
import io.chorale.kernel.Matrix;
import io.chorale.kernel.Ops;
import io.chorale.kernel.RowSlots;
import io.chorale.kernel.StepRows;

/**
 * One pre-norm decoder layer, as the Llama family has it:
 *
 * <pre>
 *   x += o(attention(rope(q h), rope(k h), v h))   with h = rmsNorm(x)
 *   x += down(silu(gate h) * up h)                 with h = rmsNorm(x)
 * </pre>
 *
 * Engine thread.
 */
record DecoderLayer(
    int index, Matrix inputNorm, Attention attention, Matrix postAttentionNorm, GatedMlp mlp) {

  void forward(
      Ops ops, ModelSpec spec, AttentionShape shape, StepRows rows, KvPages pages, Workspace w) {
    RowSlots slots = rows.all();
    ops.rmsNorm(w.x(), inputNorm, spec.rmsEps(), w.h());
    ops.linear(w.h(), attention.q(), slots, false, w.q());
    ops.linear(w.h(), attention.k(), slots, false, w.k());
    ops.linear(w.h(), attention.v(), slots, false, w.v());
    if (attention.qNorm() != null) {
      headNorm(ops, spec, w.q(), attention.qNorm());
      headNorm(ops, spec, w.k(), attention.kNorm());
    }
    ops.ropeAndStoreKv(w.q(), w.k(), w.v(), rows, pages, index);
    ops.pagedAttention(w.q(), rows, pages, index, shape, w.mixed());
    ops.linear(w.mixed(), attention.o(), slots, true, w.x());

    ops.rmsNorm(w.x(), postAttentionNorm, spec.rmsEps(), w.h());
    ops.linear(w.h(), mlp.gate(), slots, false, w.gate());
    ops.linear(w.h(), mlp.up(), slots, false, w.up());
    ops.siluMul(w.gate(), w.up());
    ops.linear(w.gate(), mlp.down(), slots, true, w.x());
  }

  private static void headNorm(Ops ops, ModelSpec spec, Matrix heads, Matrix norm) {
    Matrix each = heads.split(spec.headDim());
    ops.rmsNorm(each, norm, spec.rmsEps(), each);
  }
}
