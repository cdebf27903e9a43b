package io.chorale.train.model;

import io.chorale.kernel.train.TrainKernels;
import io.chorale.train.model.math.Buffers;
import io.chorale.train.model.math.Rope;
import io.chorale.train.model.math.SequenceAttention;
import io.chorale.train.model.math.SiluGate;
import java.util.List;
import org.bytedeco.pytorch.Tensor;

/**
 * One pre-norm decoder layer, forward and backward:
 *
 * <pre>
 *   mid = x + o(attention(rope(q h), rope(k h), v h))     h = rmsNorm(x)
 *   out = mid + down(silu(gate h) * up h)                 h = rmsNorm(mid)
 * </pre>
 *
 * The tape keeps q, k, v, the attention's output, mid, gate and up; normed inputs and the gated
 * product are computed again.
 *
 * @param qNorm over each head of q; null without, then kNorm too
 */
record TrainLayer(
    TrainNorm inputNorm,
    TrainLinear q,
    TrainLinear k,
    TrainLinear v,
    TrainNorm qNorm,
    TrainNorm kNorm,
    TrainLinear o,
    TrainNorm postNorm,
    TrainLinear gate,
    TrainLinear up,
    TrainLinear down,
    Widths widths)
    implements AutoCloseable {

  /** Of the residual stream, all query heads, all key heads, one head, the MLP. */
  record Widths(int hidden, int q, int kv, int head, int intermediate) {}

  List<TrainLinear> linears() {
    return List.of(q, k, v, o, gate, up, down);
  }

  /**
   * @param x [rows, hidden]
   * @param out [rows, hidden], another tensor
   */
  void forward(Pass pass, Tensor x, Tensor out) {
    long rows = pass.rows();
    Buffers tape = pass.tape();
    Tensor normed = pass.work().take("normed", rows, widths.hidden);
    inputNorm.forward(x, normed);
    Tensor queries = tape.take("q", rows, widths.q);
    Tensor keys = tape.take("k", rows, widths.kv);
    Tensor values = tape.take("v", rows, widths.kv);
    q.forward(pass, normed, qNorm == null ? queries : tape.take("q.raw", rows, widths.q));
    k.forward(pass, normed, kNorm == null ? keys : tape.take("k.raw", rows, widths.kv));
    v.forward(pass, normed, values);
    if (qNorm != null) {
      qNorm.forward(heads(tape.take("q.raw", rows, widths.q)), heads(queries));
      kNorm.forward(heads(tape.take("k.raw", rows, widths.kv)), heads(keys));
    }
    Rope.rotate(queries, pass.angles());
    Rope.rotate(keys, pass.angles());
    Tensor mixed = tape.take("mixed", rows, widths.q);
    SequenceAttention attention = pass.attention();
    Tensor logSums = attention.logSums(tape, rows);
    attention.forward(queries, keys, values, pass.bundles(), mixed, logSums);
    Tensor mid = tape.take("mid", rows, widths.hidden);
    o.forward(pass, mixed, mid);
    keep(pass, o, "o.y", mid);
    mid.add_(x);

    postNorm.forward(mid, normed);
    Tensor gated = tape.take("gate", rows, widths.intermediate);
    Tensor upped = tape.take("up", rows, widths.intermediate);
    gate.forward(pass, normed, gated);
    up.forward(pass, normed, upped);
    Tensor product = pass.work().take("product", rows, widths.intermediate);
    SiluGate.forward(gated, upped, product);
    down.forward(pass, product, out);
    keep(pass, down, "down.y", out);
    out.add_(mid);
  }

  /** DoRA's magnitude needs the output before the residual is added. */
  private static void keep(Pass pass, TrainLinear linear, String name, Tensor y) {
    if (linear.lora() != null && linear.lora().dora() && pass.dropout() == null) {
      pass.tape().take(name, y.size(0), y.size(1)).copy_(y);
    }
  }

  private static Tensor kept(Pass pass, TrainLinear linear, String name, Tensor like) {
    return linear.lora() != null && linear.lora().dora() && pass.dropout() == null
        ? pass.tape().take(name, like.size(0), like.size(1))
        : like;
  }

  private Tensor heads(Tensor rows) {
    return rows.view(-1, widths.head);
  }

  /**
   * @param x as in forward
   * @param dx the gradient of out, replaced by that of x
   * @param wanted whether the gradient of x is; if not, dx is left undefined
   */
  void backward(Pass pass, Tensor x, Tensor dx, boolean wanted) {
    backwardMlp(pass, dx);
    backwardAttention(pass, x, dx, wanted);
  }

  private void backwardMlp(Pass pass, Tensor dx) {
    long rows = pass.rows();
    Buffers tape = pass.tape();
    Tensor mid = tape.take("mid", rows, widths.hidden);
    Tensor gated = tape.take("gate", rows, widths.intermediate);
    Tensor upped = tape.take("up", rows, widths.intermediate);
    Tensor product = pass.work().take("product", rows, widths.intermediate);
    SiluGate.forward(gated, upped, product);
    Tensor dProduct = pass.work().take("dProduct", rows, widths.intermediate);
    down.backward(pass, product, kept(pass, down, "down.y", dx), dx, dProduct, false);
    Tensor gateOut = gated;
    Tensor upOut = upped;
    if (needsOutput(pass, gate) || needsOutput(pass, up)) {
      gateOut = pass.work().take("gate.y", rows, widths.intermediate).copy_(gated);
      upOut = pass.work().take("up.y", rows, widths.intermediate).copy_(upped);
    }
    SiluGate.backward(dProduct, gated, upped);
    Tensor normed = pass.work().take("normed", rows, widths.hidden);
    postNorm.forward(mid, normed);
    Tensor dNormed = pass.work().take("dNormed", rows, widths.hidden);
    gate.backward(pass, normed, gateOut, gated, dNormed, false);
    up.backward(pass, normed, upOut, upped, dNormed, true);
    postNorm.backward(dNormed, mid, dx);
  }

  private static boolean needsOutput(Pass pass, TrainLinear linear) {
    return linear.lora() != null && linear.lora().dora() && pass.dropout() == null;
  }

  private void backwardAttention(Pass pass, Tensor x, Tensor dx, boolean wanted) {
    long rows = pass.rows();
    Buffers tape = pass.tape();
    Tensor queries = tape.take("q", rows, widths.q);
    Tensor keys = tape.take("k", rows, widths.kv);
    Tensor values = tape.take("v", rows, widths.kv);
    Tensor mixed = tape.take("mixed", rows, widths.q);
    Tensor dMixed = pass.work().take("dMixed", rows, widths.q);
    o.backward(pass, mixed, kept(pass, o, "o.y", dx), dx, dMixed, false);
    SequenceAttention.Gradients into =
        new SequenceAttention.Gradients(
            pass.work().take("dQ", rows, widths.q),
            pass.work().take("dK", rows, widths.kv),
            pass.work().take("dV", rows, widths.kv));
    Tensor logSums = pass.attention().logSums(tape, rows);
    TrainKernels.Attention forward =
        new TrainKernels.Attention(queries, keys, values, mixed, logSums);
    pass.attention().backward(dMixed, forward, pass.bundles(), into);
    Tensor dq = unrotate(pass, into.dq(), qNorm, queries, "q.raw");
    Tensor dk = unrotate(pass, into.dk(), kNorm, keys, "k.raw");
    Tensor normed = pass.work().take("normed", rows, widths.hidden);
    inputNorm.forward(x, normed);
    boolean through = wanted || inputNorm.trained() != null;
    Tensor dNormed = through ? pass.work().take("dNormed", rows, widths.hidden) : null;
    q.backward(pass, normed, projected(pass, q, qNorm, queries, "q.raw"), dq, dNormed, false);
    k.backward(pass, normed, projected(pass, k, kNorm, keys, "k.raw"), dk, dNormed, true);
    v.backward(pass, normed, values, into.dv(), dNormed, true);
    if (through) {
      inputNorm.backward(dNormed, x, wanted ? dx : null);
    }
  }

  /** The gradient before rotation and head norm. */
  private Tensor unrotate(Pass pass, Tensor d, TrainNorm norm, Tensor like, String raw) {
    Rope.rotateBack(d, pass.angles());
    if (norm == null) {
      return d;
    }
    long width = like.size(1);
    Tensor before = pass.work().take("d." + raw, like.size(0), width).zero_();
    norm.backward(heads(d), heads(pass.tape().take(raw, like.size(0), width)), heads(before));
    return before;
  }

  /** What the projection gave, for DoRA; turned back in place, since nobody needs it turned. */
  private Tensor projected(Pass pass, TrainLinear linear, TrainNorm norm, Tensor y, String raw) {
    if (!needsOutput(pass, linear)) {
      return y;
    }
    if (norm != null) {
      return pass.tape().take(raw, y.size(0), y.size(1));
    }
    Rope.rotateBack(y, pass.angles());
    return y;
  }

  @Override
  public void close() {
    linears().forEach(TrainLinear::close);
    inputNorm.close();
    postNorm.close();
    if (qNorm != null) {
      qNorm.close();
      kNorm.close();
    }
  }
}
