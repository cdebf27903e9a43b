package io.chorale.adapter.write;

import io.chorale.adapter.read.AdapterContents;
import io.chorale.adapter.read.HostTensors;
import io.chorale.format.GgufWriter;
import io.chorale.format.TensorData;
import io.chorale.format.TensorFileOutput;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.Family;
import io.chorale.model.ModelSpec;
import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Writes a GGUF adapter that llama.cpp applies exactly as the original: {@code
 * blk.N.attn_q.weight.lora_a} [rank, in] and {@code .lora_b} [out, rank].
 *
 * <p>llama.cpp knows one {@code adapter.lora.alpha} and scales each module by alpha / rank. rsLoRA
 * and alpha patterns scale otherwise; alpha is then what most modules need, and the remaining
 * factor of the others is multiplied into their lora_b, in float32. Rows of q and k of the Llama
 * architecture are put in llama.cpp's rotary order. BF16 becomes F32, or llama.cpp would round the
 * activations to BF16 too (0.02 nats on a tiny model); F16 stays.
 */
public final class GgufAdapterWriter {
  private GgufAdapterWriter() {}

  /**
   * @param file must not exist
   * @throws IllegalArgumentException if the adapter has parts that llama.cpp cannot apply
   */
  public static void write(Path file, AdapterContents adapter, String name, ModelSpec spec)
      throws IOException {
    adapter.modules().forEach((id, module) -> requireExpressible(id, module, spec));
    float alpha = commonAlpha(adapter);
    List<TensorData> tensors = new ArrayList<>();
    adapter.modules().entrySet().stream()
        .sorted(Comparator.comparing(entry -> entry.getKey().index(spec.layers())))
        .forEach(entry -> add(tensors, entry.getKey(), entry.getValue(), alpha, spec));
    Map<String, Object> metadata = new LinkedHashMap<>();
    metadata.put("general.architecture", architecture(spec));
    metadata.put("general.type", "adapter");
    metadata.put("general.name", name);
    metadata.put("adapter.type", "lora");
    metadata.put("adapter.lora.alpha", alpha);
    List<TensorFileOutput.Entry> entries =
        tensors.stream()
            .map(t -> new TensorFileOutput.Entry(t.name(), t.type(), t.shape()))
            .toList();
    try (TensorFileOutput out = GgufWriter.create(file, metadata, entries)) {
      for (TensorData tensor : tensors) {
        out.append(tensor.bytes().duplicate());
      }
      out.finish();
    }
  }

  private static void requireExpressible(ModuleId id, LoraModule module, ModelSpec spec) {
    String what =
        module.magnitude() != null
            ? "is DoRA"
            : module.replacement() != null
                ? "is replaced whole (modules_to_save)"
                : module.bias() != null ? "has a LoRA bias" : null;
    if (what != null) {
      throw new IllegalArgumentException(
          "%s %s, which llama.cpp's adapters cannot say; merge it (chorale merge ADAPTER --out model.gguf), or serve it with chorale"
              .formatted(id, what));
    }
    if (!id.target().perLayer() && spec.tiedHead()) {
      throw new IllegalArgumentException(
          "%s: base model '%s' ties embedding and head, and llama.cpp has one tensor for both, so it cannot adapt one of them; merge it (chorale merge ADAPTER --out model.gguf)"
              .formatted(id, spec.name()));
    }
  }

  /** scaling * rank of most modules. */
  private static float commonAlpha(AdapterContents adapter) {
    Map<Float, Integer> votes = new HashMap<>();
    adapter.modules().values().forEach(m -> votes.merge(m.scaling() * m.rank(), 1, Integer::sum));
    return votes.entrySet().stream()
        .max(Map.Entry.<Float, Integer>comparingByValue().thenComparing(Map.Entry.comparingByKey()))
        .orElseThrow()
        .getKey();
  }

  private static void add(
      List<TensorData> tensors, ModuleId id, LoraModule module, float alpha, ModelSpec spec) {
    String base =
        (id.target().perLayer() ? "blk." + id.layer() + "." : "") + id.target().ggufName();
    boolean embedding = id.target() == LoraTarget.EMBED_TOKENS;
    TensorData a = embedding ? HostTensors.transpose(module.a()) : module.a();
    TensorData b = module.b();
    double factor = (double) module.scaling() * module.rank() / alpha;
    a = a.type() == TensorType.BF16 ? times(a, 1) : a;
    b = (float) factor != 1f || b.type() == TensorType.BF16 ? times(b, factor) : b;
    int heads = rotaryHeads(id.target(), spec);
    b = heads == 0 ? b : HostTensors.permuteRows(b, heads);
    tensors.add(named(a, base + ".weight.lora_a"));
    tensors.add(named(b, base + ".weight.lora_b"));
  }

  private static TensorData times(TensorData tensor, double factor) {
    float[] values = tensor.toFloats();
    ByteBuffer out =
        ByteBuffer.allocate(Float.BYTES * values.length).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      out.putFloat((float) (value * factor));
    }
    return new TensorData(tensor.name(), TensorType.F32, tensor.shape().clone(), out.flip());
  }

  private static TensorData named(TensorData tensor, String name) {
    return new TensorData(name, tensor.type(), tensor.shape(), tensor.bytes());
  }

  private static int rotaryHeads(LoraTarget target, ModelSpec spec) {
    if (spec.family() != Family.LLAMA && spec.family() != Family.MISTRAL) {
      return 0;
    }
    return target == LoraTarget.Q_PROJ
        ? spec.heads()
        : target == LoraTarget.K_PROJ ? spec.kvHeads() : 0;
  }

  private static String architecture(ModelSpec spec) {
    return switch (spec.family()) {
      case LLAMA, MISTRAL -> "llama";
      case QWEN2 -> "qwen2";
      case QWEN3 -> "qwen3";
    };
  }
}
