package io.chorale.train.model;

import io.chorale.train.model.math.Buffers;
import io.chorale.train.model.weight.FrozenWeight;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The token embedding: {@code y[i] = g (W[id] + s B A[:, id])}, with A PEFT's lora_embedding_A
 * [rank, vocab] and B lora_embedding_B [hidden, rank]; g is 1 without DoRA, whose norms then run
 * over the vocabulary, one per hidden unit. PEFT drops nothing out here.
 *
 * @param whole the trained weight instead of {@code base}; null if frozen
 * @param lora null without
 */
record TrainEmbedding(FrozenWeight base, Parameter whole, LowRank lora) implements AutoCloseable {

  boolean trained() {
    return whole != null || lora != null;
  }

  void refresh() {
    if (lora != null) {
      lora.refresh();
    }
  }

  /**
   * @param index the ids, int64 [rows]
   * @param y [rows, hidden]
   */
  void forward(Pass pass, int[] ids, Tensor index, Tensor y) {
    Buffers work = pass.work();
    if (whole != null) {
      y.copy_(whole.value().index_select(0, index));
      return;
    }
    y.copy_(base.rows(ids, work));
    if (lora == null || !pass.adapted()) {
      return;
    }
    y.addmm_(shrink(index), lora.b().t(), new Scalar(1.0), new Scalar((double) lora.scaling()));
    if (lora.dora()) {
      y.copy_(y.mul(lora.gain(base.dense(work, "weight").t())));
    }
  }

  private Tensor shrink(Tensor index) {
    return lora.a().index_select(1, index).t();
  }

  /**
   * @param y as forward left it
   */
  void backward(Tensor index, Tensor y, Tensor dy) {
    if (whole != null) {
      whole.grad().index_add_(0, index, dy.to(ScalarType.Float));
    } else if (lora != null) {
      if (lora.dora()) {
        lora.magnitudeFromOutput(dy, y);
      }
      lora.addToB(null, dy, shrink(index));
      Tensor dh = dy.mm(lora.scaledB()).mul_(new Scalar((double) lora.scaling()));
      lora.aParameter().grad().index_add_(1, index, dh.t().to(ScalarType.Float));
    }
  }

  @Override
  public void close() {
    if (base != null) {
      base.close();
    }
    if (lora != null) {
      lora.close();
    }
  }
}
