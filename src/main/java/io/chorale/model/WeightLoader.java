package io.chorale.model;

import io.chorale.kernel.Linear;
import io.chorale.kernel.Matrix;
import io.chorale.kernel.Ops;
import io.chorale.kernel.Weight;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.quant.PackedMatrix;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;

/**
 * Brings a base model's files into an {@link Ops}' layout, one matrix at a time, so that the host
 * never holds a second copy of more than one band of rows. Not thread-safe.
 */
public final class WeightLoader {
  private final BaseModelFiles files;
  private final Ops ops;
  private final ModelSpec spec;

  public WeightLoader(BaseModelFiles files, Ops ops) {
    this.files = files;
    this.ops = ops;
    this.spec = files.spec();
  }

  /**
   * Loads everything.
   *
   * @param layerDone called with the number of layers loaded so far
   */
  public CausalLm load(StepLimits limits, IntConsumer layerDone) {
    ModuleId embeddingId = ModuleId.of(LoraTarget.EMBED_TOKENS);
    ModuleId headId = ModuleId.of(LoraTarget.LM_HEAD);
    Weight embedding = ops.weight(files.linear(embeddingId));
    Weight head = spec.tiedHead() ? embedding : ops.weight(files.linear(headId));
    List<DecoderLayer> layers = new ArrayList<>(spec.layers());
    for (int layer = 0; layer < spec.layers(); layer++) {
      layers.add(layer(layer));
      layerDone.accept(layer + 1);
    }
    return new CausalLm(
        spec,
        ops,
        new Linear(embedding, null, embeddingId.index(spec.layers())),
        layers,
        ops.vector(files.norm("final", 0)),
        new Linear(head, null, headId.index(spec.layers())),
        limits);
  }

  private DecoderLayer layer(int layer) {
    Attention attention =
        new Attention(
            linear(layer, LoraTarget.Q_PROJ),
            linear(layer, LoraTarget.K_PROJ),
            linear(layer, LoraTarget.V_PROJ),
            linear(layer, LoraTarget.O_PROJ),
            headNorm("q", layer),
            headNorm("k", layer));
    GatedMlp mlp =
        new GatedMlp(
            linear(layer, LoraTarget.GATE_PROJ),
            linear(layer, LoraTarget.UP_PROJ),
            linear(layer, LoraTarget.DOWN_PROJ));
    return new DecoderLayer(
        layer,
        ops.vector(files.norm("input", layer)),
        attention,
        ops.vector(files.norm("post_attention", layer)),
        mlp);
  }

  private Matrix headNorm(String which, int layer) {
    return spec.qkNorm() ? ops.vector(files.norm(which, layer)) : null;
  }

  private Linear linear(int layer, LoraTarget target) {
    ModuleId id = new ModuleId(layer, target);
    PackedMatrix packed = files.linear(id);
    return new Linear(
        ops.weight(packed), files.bias(id).map(ops::vector).orElse(null), id.index(spec.layers()));
  }
}
