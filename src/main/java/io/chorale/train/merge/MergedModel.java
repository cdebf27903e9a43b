package io.chorale.train.merge;

import io.chorale.format.TensorData;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.LoraWeights;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Family;
import io.chorale.model.ModelSpec;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.PackedMatrix;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * The base with one adapter in it: its spec (head untied or biases added where the adapter needs
 * that) and its weights by module, each computed when asked for. One thread.
 */
final class MergedModel {
  private final BaseModelFiles base;
  private final LoraWeights adapter;
  private final ModelSpec spec;

  /**
   * @param base opened without quantization
   * @throws IllegalArgumentException if the adapter has biases that the base's family cannot hold
   */
  MergedModel(BaseModelFiles base, LoraWeights adapter) {
    this.base = base;
    this.adapter = adapter;
    this.spec = mergedSpec();
  }

  ModelSpec spec() {
    return spec;
  }

  BaseModelFiles base() {
    return base;
  }

  /** Modules with a weight of their own, in the order they are written. */
  List<ModuleId> modules() {
    List<ModuleId> ids = new ArrayList<>();
    ids.add(ModuleId.of(LoraTarget.EMBED_TOKENS));
    for (int layer = 0; layer < spec.layers(); layer++) {
      for (LoraTarget target : LoraTarget.values()) {
        if (target.perLayer()) {
          ids.add(new ModuleId(layer, target));
        }
      }
    }
    if (!spec.tiedHead()) {
      ids.add(ModuleId.of(LoraTarget.LM_HEAD));
    }
    return ids;
  }

  MergedMatrix matrix(ModuleId id) {
    LoraModule module = adapter.modules().get(id);
    PackedMatrix weight = base.linear(id);
    PackedMatrix replacement = null;
    if (module != null && module.replacement() != null) {
      TensorData whole = module.replacement();
      replacement =
          new GgmlMatrix(whole.type(), weight.rows(), weight.cols(), whole.bytes().duplicate());
    }
    return new MergedMatrix(id, weight, module, replacement);
  }

  /** Bias of a module, float32 [outputs], zeros where only its neighbours have one. */
  Optional<float[]> bias(ModuleId id) {
    if (!hasBias(spec, id.target())) {
      return Optional.empty();
    }
    MergedMatrix matrix = matrix(id);
    float[] bias = base.bias(id).orElseGet(() -> new float[matrix.rows()]);
    LoraModule module = adapter.modules().get(id);
    if (module == null || module.bias() == null) {
      return Optional.of(bias);
    }
    float[] added = module.bias().toFloats();
    Optional<double[]> factors = matrix.outputFactors();
    for (int i = 0; i < bias.length; i++) {
      double factor = factors.isPresent() ? factors.get()[i] : 1;
      bias[i] = (float) (bias[i] + factor * module.scaling() * added[i]);
    }
    return Optional.of(bias);
  }

  static boolean hasBias(ModelSpec spec, LoraTarget target) {
    return switch (target) {
      case Q_PROJ, K_PROJ, V_PROJ -> spec.qkvBias();
      case O_PROJ -> spec.oBias();
      case GATE_PROJ, UP_PROJ, DOWN_PROJ -> spec.mlpBias();
      case EMBED_TOKENS, LM_HEAD -> false;
    };
  }

  private ModelSpec mergedSpec() {
    ModelSpec s = base.spec();
    boolean attention = false;
    boolean mlp = false;
    for (var e : adapter.modules().entrySet()) {
      if (e.getValue().bias() != null && !hasBias(s, e.getKey().target())) {
        refuseBias(s.family(), e.getKey());
        attention |= e.getKey().target().ordinal() <= LoraTarget.O_PROJ.ordinal();
        mlp |= e.getKey().target().ordinal() > LoraTarget.O_PROJ.ordinal();
      }
    }
    return new ModelSpec(
        s.name(),
        s.family(),
        s.layers(),
        s.hidden(),
        s.intermediate(),
        s.heads(),
        s.kvHeads(),
        s.headDim(),
        s.vocab(),
        s.maxPositions(),
        s.rmsEps(),
        s.rope(),
        s.qkvBias() || attention,
        s.oBias() || attention,
        s.mlpBias() || mlp,
        s.qkNorm(),
        s.slidingWindow(),
        s.tiedHead() && sameEnds(),
        s.endTokenIds());
  }

  private void refuseBias(Family family, ModuleId id) {
    boolean attention = id.target().ordinal() <= LoraTarget.O_PROJ.ordinal();
    boolean layer = id.target().perLayer();
    boolean can = layer && (family == Family.LLAMA || attention && family == Family.QWEN3);
    if (!can) {
      throw new IllegalArgumentException(
          "adapter '%s' has a bias (lora_bias) on %s, and %s models have none there to merge it into; serve the adapter unmerged"
              .formatted(adapter.label(), id, family.name().toLowerCase(java.util.Locale.ROOT)));
    }
  }

  /** Whether the adapter leaves embedding and head equal to each other. */
  private boolean sameEnds() {
    LoraModule in = adapter.modules().get(ModuleId.of(LoraTarget.EMBED_TOKENS));
    LoraModule out = adapter.modules().get(ModuleId.of(LoraTarget.LM_HEAD));
    if (in == null || out == null) {
      return in == null && out == null;
    }
    if (in.replacement() != null && out.replacement() != null) {
      return Arrays.equals(in.replacement().toFloats(), out.replacement().toFloats());
    }
    return in.replacement() == null
        && out.replacement() == null
        && in.magnitude() == null
        && out.magnitude() == null
        && in.scaling() == out.scaling()
        && transposes(in.a(), out.b())
        && transposes(in.b(), out.a());
  }

  private static boolean transposes(TensorData one, TensorData other) {
    int rows = (int) one.shape()[0];
    int cols = (int) one.shape()[1];
    if (other.shape()[0] != cols || other.shape()[1] != rows) {
      return false;
    }
    float[] a = one.toFloats();
    float[] b = other.toFloats();
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < cols; c++) {
        if (a[r * cols + c] != b[c * rows + r]) {
          return false;
        }
      }
    }
    return true;
  }
}
