package io.chorale.adapter.read;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.chorale.adapter.AdapterFolder;
import io.chorale.format.TensorData;
import io.chorale.format.TensorSource;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.quant.TensorType;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** GGUF adapters in memory; those that llama.cpp's writer made are in GoldenAdaptersTest. */
class GgufReaderTest {
  /** A good adapter of rank 2 on layer 0's value projection. */
  private static final class Gguf implements TensorSource {
    private final Map<String, Object> metadata = new HashMap<>();
    private final Map<String, TensorData> tensors = new TreeMap<>();

    Gguf() {
      metadata.put("general.type", "adapter");
      metadata.put("general.architecture", "llama");
      metadata.put("adapter.type", "lora");
      metadata.put("adapter.lora.alpha", 8f);
      put("blk.0.attn_v.weight.lora_a", 2, 8);
      put("blk.0.attn_v.weight.lora_b", 4, 2);
    }

    void put(String name, long... shape) {
      int elements = 1;
      for (long d : shape) {
        elements *= (int) d;
      }
      ByteBuffer bytes = ByteBuffer.allocate(4 * elements);
      tensors.put(name, new TensorData(name, TensorType.F32, shape, bytes));
    }

    @Override
    public Set<String> names() {
      return tensors.keySet();
    }

    @Override
    public TensorData tensor(String name) {
      return tensors.get(name);
    }

    @Override
    public void close() {
      tensors.clear();
    }
  }

  private static AdapterContents read(Gguf gguf) {
    return GgufReader.read(gguf.metadata, gguf, AdapterFolder.SPEC);
  }

  private static Arguments bad(String reason, Consumer<Gguf> spoil) {
    return Arguments.of(reason, spoil);
  }

  static Stream<Arguments> spoilt() {
    return Stream.of(
        bad(
            "GGUF general.type is model, wanted 'adapter'",
            g -> g.metadata.put("general.type", "model")),
        bad("GGUF adapter.type is absent, wanted 'lora'", g -> g.metadata.remove("adapter.type")),
        bad(
            "GGUF general.architecture is qwen2, wanted 'llama'",
            g -> g.metadata.put("general.architecture", "qwen2")),
        bad(
            "GGUF adapter.lora.alpha is null, wanted a number",
            g -> g.metadata.remove("adapter.lora.alpha")),
        bad(
            "it has adapter.alora.invocation_tokens: activated LoRA is not served",
            g -> g.metadata.put("adapter.alora.invocation_tokens", 3)),
        bad("it has no tensors", Gguf::close),
        bad(
            "tensor blk.0.attn_norm.weight is no low-rank part of a module of base model 'tiny' (2"
                + " layers)",
            g -> g.put("blk.0.attn_norm.weight", 8)),
        bad(
            "tensor blk.2.attn_q.weight.lora_a is no low-rank part of a module of base model 'tiny' (2"
                + " layers)",
            g -> g.put("blk.2.attn_q.weight.lora_a", 2, 8)),
        bad(
            "tensor blk.1.ffn_up.weight.lora_a has no partner blk.1.ffn_up.weight.lora_b",
            g -> g.put("blk.1.ffn_up.weight.lora_a", 2, 8)),
        bad(
            "tensor blk.1.ffn_up.weight.lora_b has no partner blk.1.ffn_up.weight.lora_a",
            g -> g.put("blk.1.ffn_up.weight.lora_b", 12, 2)),
        bad(
            "blk.0.attn_v.weight.lora_a is [2, 6], base model wants [2, 8]; was it trained on another"
                + " base?",
            g -> g.put("blk.0.attn_v.weight.lora_a", 2, 6)),
        bad(
            "blk.0.attn_v.weight.lora_b has rank 513, wanted 1..512",
            g -> g.put("blk.0.attn_v.weight.lora_b", 4, 513)));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("spoilt")
  void adapterIsRefusedWithThePreciseReason(String reason, Consumer<Gguf> spoil) {
    // Given
    var gguf = new Gguf();
    spoil.accept(gguf);
    // When
    var refused = assertThrows(IllegalArgumentException.class, () -> read(gguf));
    // Then
    assertEquals(reason, refused.getMessage());
  }

  @Test
  void scalingIsAlphaOverRank() {
    // When
    LoraModule module = read(new Gguf()).modules().get(new ModuleId(0, LoraTarget.V_PROJ));
    // Then
    assertEquals(4f, module.scaling());
    assertEquals(2, module.rank());
  }

  @Test
  void alphaOfZeroLeavesTheScaleAtOneAsInLlamaCpp() {
    // Given
    var gguf = new Gguf();
    gguf.metadata.put("adapter.lora.alpha", 0f);
    // When
    LoraModule module = read(gguf).modules().get(new ModuleId(0, LoraTarget.V_PROJ));
    // Then
    assertEquals(1f, module.scaling());
  }

  @Test
  void embeddingsTransposedFactorIsTurnedBack() {
    // Given
    var gguf = new Gguf();
    gguf.put("token_embd.weight.lora_a", 10, 3);
    gguf.put("token_embd.weight.lora_b", 8, 3);
    // When
    LoraModule module = read(gguf).modules().get(ModuleId.of(LoraTarget.EMBED_TOKENS));
    // Then
    assertArrayEquals(new long[] {3, 10}, module.a().shape());
    assertArrayEquals(new long[] {8, 3}, module.b().shape());
  }
}
