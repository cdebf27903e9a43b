package io.chorale.model;

import io.chorale.kernel.Linear;
import io.chorale.kernel.Weight;
import io.chorale.lora.ModuleId;
import java.util.List;

/** The adaptable weights in {@link ModuleId#index} order. */
final class ModuleWeights {
  private ModuleWeights() {}

  static Weight[] inOrder(Linear embedding, List<DecoderLayer> layers, Linear head) {
    Weight[] weights = new Weight[ModuleId.count(layers.size())];
    for (DecoderLayer layer : layers) {
      Attention attention = layer.attention();
      GatedMlp mlp = layer.mlp();
      for (Linear linear :
          List.of(
              attention.q(),
              attention.k(),
              attention.v(),
              attention.o(),
              mlp.gate(),
              mlp.up(),
              mlp.down())) {
        weights[linear.module()] = linear.weight();
      }
    }
    weights[embedding.module()] = embedding.weight();
    weights[head.module()] = head.weight();
    return weights;
  }
}
