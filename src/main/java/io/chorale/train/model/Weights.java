package io.chorale.train.model;

import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.ModelSpec;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.Parameter.Kind;
import io.chorale.train.model.math.Buffers;
import io.chorale.train.model.math.DropoutMask;
import io.chorale.train.model.target.AdapterPlan;
import io.chorale.train.model.weight.FrozenWeight;
import io.chorale.train.model.weight.MergedWeight;
import io.chorale.train.rounding.MergedRounding;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Builds the layers from the base's files and the adapter's plan, and makes their parameters. */
final class Weights {
  private static final String PREFIX = "base_model.model.";

  private final BaseModelFiles files;
  private final ModelSpec spec;
  private final AdapterSpec adapter;
  private final AdapterPlan plan;
  private final TorchDevice device;
  private final ScalarType type;
  private final long seed;
  private final List<Parameter> parameters = new ArrayList<>();
  private final Map<ModuleId, LowRank> low = new LinkedHashMap<>();
  private long baseElements;

  Weights(BaseModelFiles files, AdapterSpec adapter, AdapterPlan plan, Compute compute, long seed) {
    this.files = files;
    this.spec = files.spec();
    this.adapter = adapter;
    this.plan = plan;
    this.device = compute.device();
    this.type = compute.type().torch();
    this.seed = seed;
  }

  List<Parameter> parameters() {
    return parameters;
  }

  Map<ModuleId, LowRank> low() {
    return low;
  }

  /** Elements of the base's own tensors; a tied head counts once. */
  long baseElements() {
    return baseElements;
  }

  private boolean full() {
    return adapter.method() == TrainMethod.FULL;
  }

  TrainEmbedding embedding() {
    ModuleId id = ModuleId.of(LoraTarget.EMBED_TOKENS);
    FrozenWeight base = base(id);
    baseElements += (long) base.rows() * base.cols();
    if (full() || plan.saved().contains(id)) {
      return new TrainEmbedding(null, whole(id, base, "weight"), null);
    }
    return new TrainEmbedding(base, null, lora(id, base));
  }

  /**
   * The head; a tied one that is frozen shares the embedding's matrix.
   *
   * @param embedding made before
   */
  TrainLinear head(TrainEmbedding embedding) {
    ModuleId id = ModuleId.of(LoraTarget.LM_HEAD);
    if (full() && spec.tiedHead()) {
      return new TrainLinear("head", null, embedding.whole(), null, null, null, null);
    }
    boolean shared = spec.tiedHead() && embedding.base() != null;
    FrozenWeight base = shared ? embedding.base() : base(id);
    baseElements += spec.tiedHead() ? 0 : (long) base.rows() * base.cols();
    if (full() || plan.saved().contains(id)) {
      return new TrainLinear("head", null, whole(id, base, "weight"), null, null, null, null);
    }
    return new TrainLinear("head", base, null, null, null, lora(id, base), null);
  }

  TrainLayer layer(int layer) {
    TrainNorm inputNorm = norm("input", layer, spec.hidden());
    TrainLinear q = linear(layer, LoraTarget.Q_PROJ);
    TrainLinear k = linear(layer, LoraTarget.K_PROJ);
    TrainLinear v = linear(layer, LoraTarget.V_PROJ);
    TrainNorm qNorm = spec.qkNorm() ? norm("q", layer, spec.headDim()) : null;
    TrainNorm kNorm = spec.qkNorm() ? norm("k", layer, spec.headDim()) : null;
    TrainLinear o = linear(layer, LoraTarget.O_PROJ);
    return new TrainLayer(
        inputNorm,
        q,
        k,
        v,
        qNorm,
        kNorm,
        o,
        norm("post_attention", layer, spec.hidden()),
        linear(layer, LoraTarget.GATE_PROJ),
        linear(layer, LoraTarget.UP_PROJ),
        linear(layer, LoraTarget.DOWN_PROJ),
        new TrainLayer.Widths(
            spec.hidden(), spec.qWidth(), spec.kvWidth(), spec.headDim(), spec.intermediate()));
  }

  TrainNorm norm(String which, int layer, int width) {
    float[] values = files.norm(which, layer);
    baseElements += width;
    if (!full()) {
      return new TrainNorm(floats(values, ScalarType.Float), null, spec.rmsEps());
    }
    Parameter parameter = parameter(normKey(which, layer), Kind.NORM, width);
    try (Scope scope = Scope.open()) {
      parameter.value().copy_(device.floats(values, width));
    }
    return new TrainNorm(null, parameter, spec.rmsEps());
  }

  private static String normKey(String which, int layer) {
    return switch (which) {
      case "final" -> "model.norm.weight";
      case "q", "k" -> "model.layers." + layer + ".self_attn." + which + "_norm.weight";
      default -> "model.layers." + layer + "." + which + "_layernorm.weight";
    };
  }

  private TrainLinear linear(int layer, LoraTarget target) {
    ModuleId id = new ModuleId(layer, target);
    FrozenWeight base = base(id);
    float[] bias = files.bias(id).orElse(null);
    baseElements += (long) base.rows() * base.cols() + (bias == null ? 0 : bias.length);
    String name = target.shortName();
    if (!full()) {
      Tensor frozen = bias == null ? null : floats(bias, type);
      LowRank lora = lora(id, base);
      return new TrainLinear(name, base, null, frozen, null, lora, merged(id, lora));
    }
    Parameter weight = whole(id, base, "weight");
    Parameter added = null;
    if (bias != null) {
      added = parameter(AdapterPlan.name(id) + ".bias", Kind.DENSE, bias.length);
      try (Scope scope = Scope.open()) {
        added.value().copy_(device.floats(bias, bias.length));
      }
    }
    return new TrainLinear(name, null, weight, null, added, null, null);
  }

  /** What a merge would make of a layer's weight; null unless merge-aware. */
  private MergedWeight merged(ModuleId id, LowRank lora) {
    if (adapter.mergeAware().isEmpty()) {
      return null;
    }
    float scaling = lora == null ? 0 : lora.scaling();
    int module = id.index(spec.layers());
    MergedRounding rounding = adapter.mergeAware().get();
    return new MergedWeight(files.linear(id), rounding, module, scaling, device, type);
  }

  private FrozenWeight base(ModuleId id) {
    FrozenWeight weight = FrozenWeight.of(files.linear(id), device, type);
    if (full() && weight.quantized()) {
      throw new IllegalArgumentException(
          "full fine-tuning of '%s': %s is quantized (%s), wanted a float base; use lora, rslora or dora on this one"
              .formatted(spec.name(), AdapterPlan.name(id), files.linear(id).formatName()));
    }
    return weight;
  }

  private Tensor floats(float[] values, ScalarType as) {
    try (Scope scope = Scope.open()) {
      return scope.escape(device.floats(values, values.length).to(as, false, true, null));
    }
  }

  private Parameter parameter(String key, Kind kind, long... shape) {
    Parameter parameter = new Parameter(key, kind, device, shape);
    parameters.add(parameter);
    return parameter;
  }

  /** A trained copy of a base weight. */
  private Parameter whole(ModuleId id, FrozenWeight base, String part) {
    String key = (full() ? "" : PREFIX) + AdapterPlan.name(id) + "." + part;
    Parameter parameter = parameter(key, Kind.DENSE, base.rows(), base.cols());
    try (Scope scope = Scope.open();
        Buffers buffers = new Buffers(device, ScalarType.Float)) {
      parameter.value().copy_(base.dense(buffers, "weight"));
    }
    return parameter;
  }

  private LowRank lora(ModuleId id, FrozenWeight base) {
    AdapterPlan.Placed placed = plan.adapted().get(id);
    if (placed == null) {
      return null;
    }
    boolean embedding = id.target() == LoraTarget.EMBED_TOKENS;
    int in = embedding ? base.rows() : base.cols();
    int out = embedding ? base.cols() : base.rows();
    String stem = PREFIX + AdapterPlan.name(id) + (embedding ? ".lora_embedding_" : ".lora_");
    String end = embedding ? "" : ".weight";
    Parameter a = parameter(stem + "A" + end, Kind.LORA_A, placed.rank(), in);
    Parameter b = parameter(stem + "B" + end, Kind.LORA_B, out, placed.rank());
    initialize(id, embedding ? b : a, embedding ? Math.sqrt(1) : 1 / Math.sqrt(in));
    Parameter magnitude = null;
    Tensor squares = null;
    if (adapter.method() == TrainMethod.DORA) {
      String key = PREFIX + AdapterPlan.name(id) + ".lora_magnitude_vector";
      magnitude = parameter(key, Kind.MAGNITUDE, out);
      squares = squares(base, embedding);
      try (Scope scope = Scope.open()) {
        magnitude.value().copy_(squares.sqrt());
      }
    }
    LowRank lora =
        new LowRank(id.index(spec.layers()), placed.scaling(), a, b, magnitude, squares, type);
    low.put(id, lora);
    return lora;
  }

  /** Squared norms of W's rows, or for the embedding of its columns, float32. */
  private Tensor squares(FrozenWeight base, boolean columns) {
    try (Scope scope = Scope.open();
        Buffers buffers = new Buffers(device, ScalarType.Float)) {
      Tensor w = base.dense(buffers, "weight");
      return scope.escape(w.mul(w).sum(new long[] {columns ? 0 : 1}, false, null));
    }
  }

  /**
   * Uniform in (-bound, bound), as PEFT's kaiming_uniform(a = sqrt(5)); normal for an embedding.
   */
  private void initialize(ModuleId id, Parameter parameter, double bound) {
    SplittableRandom random = new SplittableRandom(DropoutMask.mix(seed) + id.index(spec.layers()));
    float[] values = new float[Math.toIntExact(parameter.elements())];
    boolean normal = id.target() == LoraTarget.EMBED_TOKENS;
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (normal ? random.nextGaussian() : bound * (2 * random.nextDouble() - 1));
    }
    try (Scope scope = Scope.open()) {
      parameter.value().copy_(device.floats(values, parameter.shape()));
    }
  }
}
