package io.chorale.train.model;

import io.chorale.train.model.math.Buffers;
import io.chorale.train.model.weight.FrozenWeight;
import io.chorale.train.model.weight.MergedWeight;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * {@code y = x W^T + bias}, with a low-rank update or trained whole or neither; x [rows, in], y
 * [rows, out]. The frozen weight is made dense for each product anew, so that only one is.
 */
final class TrainLinear implements AutoCloseable {
  private final String name;
  private final FrozenWeight base;
  private final Parameter whole;
  private final Tensor bias;
  private final Parameter biasParameter;
  private final LowRank lora;
  private final MergedWeight merged;
  private boolean asMerged;
  private Tensor held;

  /**
   * @param name on the tape, unique within a layer
   * @param base null if {@code whole} is given
   * @param bias compute type [out], owned; null if there is none or it is trained
   * @param lora null if the layer has no low-rank update
   * @param merged what a merge makes of base and update; null unless merge-aware; owned
   */
  TrainLinear(
      String name,
      FrozenWeight base,
      Parameter whole,
      Tensor bias,
      Parameter biasParameter,
      LowRank lora,
      MergedWeight merged) {
    this.name = name;
    this.base = base;
    this.whole = whole;
    this.bias = bias;
    this.biasParameter = biasParameter;
    this.lora = lora;
    this.merged = merged;
    this.asMerged = merged != null;
  }

  /** Whether a merge-aware layer computes as merged, as it does at first, or as served unmerged. */
  void asMerged(boolean on) {
    asMerged = on && merged != null;
  }

  LowRank lora() {
    return lora;
  }

  FrozenWeight base() {
    return base;
  }

  List<Parameter> dense() {
    return whole == null
        ? List.of()
        : biasParameter == null ? List.of(whole) : List.of(whole, biasParameter);
  }

  void refresh() {
    if (lora != null) {
      lora.refresh();
    }
    if (asMerged && lora != null) {
      merged.update(lora.aParameter().value(), lora.bParameter().value());
    } else if (asMerged) {
      merged.withoutUpdate();
    }
  }

  /** Keeps the dense weight over several products, until {@link #letGo}; in the caller's scope. */
  void hold(Pass pass) {
    held = weight(pass, "held");
  }

  /** Gives the memory of {@link #hold} back. */
  void letGo(Buffers work) {
    held = null;
    work.release("held");
  }

  private Tensor weight(Pass pass) {
    return held == null ? weight(pass, "weight") : held;
  }

  private Tensor weight(Pass pass, String buffer) {
    Buffers work = pass.work();
    if (whole == null) {
      return asMerged && pass.adapted() ? merged.dense(work, buffer) : base.dense(work, buffer);
    }
    Tensor value = whole.value();
    return work.type() == ScalarType.Float
        ? value
        : work.take(buffer, value.size(0), value.size(1)).copy_(value);
  }

  /** A copy of what forward gave, if backward needs it and y is overwritten before; else y. */
  Tensor keptForDora(Buffers work, Tensor y) {
    return lora != null && lora.dora() ? work.take(name + ".y", y.size(0), y.size(1)).copy_(y) : y;
  }

  void forward(Pass pass, Tensor x, Tensor y) {
    Tensor w = weight(pass);
    if (lora == null || !pass.adapted()) {
      torch.mm_out(y, x, w.t());
    } else if (lora.dora() && pass.dropout() != null) {
      droppedDora(pass, x, w, y);
    } else {
      Tensor scaled = lora.dora() ? lora.scaled(w, pass.work()) : w;
      Tensor h = lora.shrink(pass, lora.input(pass, x), name);
      if (asMerged) {
        torch.mm_out(y, x, scaled.t());
      } else {
        lora.expand(pass, h, y);
        y.addmm_(x, scaled.t());
      }
    }
    Tensor added = biasParameter == null ? bias : biasParameter.value();
    if (added != null) {
      y.add_(added);
    }
  }

  /**
   * {@code y = x W^T + (g - 1) u + S h (g B)^T} with {@code u = drop(x) W^T}; {@code v = u + S h
   * B^T} is kept. The base's product comes last, as in {@link LowRank#expand}.
   */
  private void droppedDora(Pass pass, Tensor x, Tensor w, Tensor y) {
    Tensor gain = lora.gain(w);
    Tensor input = lora.input(pass, x);
    Tensor v = pass.tape().take(name + ".v", y.size(0), y.size(1));
    torch.mm_out(v, input, w.t());
    v.mul_(new Scalar(pass.dropout().scale()));
    torch.mul_out(y, v, gain.sub(new Scalar(1.0)));
    Tensor h = lora.shrink(pass, input, name);
    v.addmm_(h, lora.b().t(), new Scalar(1.0), lora.updateScale(pass));
    lora.addExpanded(pass, h, y);
    y.addmm_(x, w.t());
  }

  /**
   * Adds to the gradients of what is trained here.
   *
   * @param x as in forward
   * @param y as forward left it; only read with DoRA
   * @param dx [rows, in]; null if not wanted
   * @param add whether dx is added to, not overwritten
   */
  void backward(Pass pass, Tensor x, Tensor y, Tensor dy, Tensor dx, boolean add) {
    boolean droppedDora = lora != null && lora.dora() && pass.dropout() != null;
    Tensor ofDropped = null;
    if (dx != null) {
      Tensor w = weight(pass);
      if (lora != null && lora.dora() && !droppedDora) {
        w = lora.scaled(w, pass.work());
      }
      if (add) {
        dx.addmm_(dy, w);
      } else {
        torch.mm_out(dx, dy, w);
      }
      ofDropped = droppedDora ? w : null;
    }
    if (lora != null) {
      if (droppedDora) {
        lora.magnitudeFromDirection(dy, pass.tape().take(name + ".v", dy.size(0), dy.size(1)));
      } else if (lora.dora()) {
        lora.magnitudeFromOutput(dy, bias == null ? y : y.sub(bias));
      }
      lora.backward(pass, x, dy, ofDropped, asMerged ? null : dx, name);
    }
    if (whole != null) {
      LowRank.accumulate(whole, dy, x, new Scalar(1.0));
      if (biasParameter != null) {
        biasParameter
            .grad()
            .add_(dy.sum(new long[] {0}, false, new ScalarTypeOptional(ScalarType.Float)));
      }
    }
  }

  @Override
  public void close() {
    if (base != null) {
      base.close();
    }
    if (merged != null) {
      merged.close();
    }
    if (bias != null) {
      bias.close();
    }
    if (lora != null) {
      lora.close();
    }
  }
}
