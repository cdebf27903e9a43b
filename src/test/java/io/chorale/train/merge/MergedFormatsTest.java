package io.chorale.train.merge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.format.TensorData;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.LoraWeights;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.quant.BlockQuantizer;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every format and family, by what the written model computes and holds. */
class MergedFormatsTest {
  private static final LoraWeights NOTHING = new LoraWeights("nothing", Map.of(), 0);

  @TempDir Path folder;

  private static Merge.Result write(Path base, LoraWeights adapter, Path out, MergeFormat format)
      throws IOException {
    try (BaseModelFiles files = BaseModelFiles.open(base, Quantization.NONE)) {
      return Merge.run(
          files,
          base,
          adapter,
          new Merge.Options(out, format, Merging.SHARD, false),
          (done, total) -> {});
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "llama-untied", "llama3-rope", "qwen2", "qwen3", "llama-nf4-dq"})
  void folderOfAnyFamilyComputesTheSameAsGguf(String name) throws IOException {
    // Given
    Path base = Merging.MODELS.resolve(name);
    // When
    write(base, NOTHING, folder.resolve("m.gguf"), MergeFormat.GGUF_F16);
    // Then
    Merging.assertLogits(folder.resolve("m.gguf"), base.resolve("logits.json"), 5e-3);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"llama-f16", "llama-q4_1", "llama-untied-q4_0", "qwen2-q8_0", "qwen3-q4_1"})
  void ggufOfAnyFamilyComputesTheSameAsFolder(String name) throws IOException {
    // Given
    Path gguf = Merging.MODELS.resolve("gguf");
    // When
    write(gguf.resolve(name + ".gguf"), NOTHING, folder.resolve("m"), MergeFormat.HF_F32);
    // Then
    Merging.assertLogits(folder.resolve("m"), gguf.resolve(name + ".logits.json"), 2e-4);
  }

  @ParameterizedTest
  @CsvSource({"HF_F16, 5e-3", "HF_BF16, 4e-2", "GGUF_F16, 5e-3", "GGUF_Q8_0, 4e-2"})
  void narrowerFormatComputesTheAdaptersLogitsWithinItsRounding(
      MergeFormat format, double tolerance) throws IOException {
    // Given
    Path adapter = Merging.ADAPTERS.resolve("lora-bias");
    Path out = folder.resolve(format.gguf() ? "m.gguf" : "m");
    // When
    Merging.merge(Merging.MODELS.resolve("llama"), adapter, out, format);
    // Then
    Merging.assertLogits(out, adapter.resolve("logits.json"), tolerance);
  }

  @ParameterizedTest
  @CsvSource({"GGUF_Q8_0, Q8_0", "GGUF_Q4_0, Q4_0", "GGUF_Q4_1, Q4_1"})
  void blockFormatHoldsTheQuantizedMergeInTransformersRowOrder(MergeFormat format, TensorType type)
      throws IOException {
    // Given
    Path base = Merging.MODELS.resolve("llama");
    Path adapter = Merging.ADAPTERS.resolve("dora");
    ModuleId q = new ModuleId(1, LoraTarget.Q_PROJ);
    // When
    Merging.merge(base, adapter, folder.resolve("m.gguf"), format);
    // Then
    Merging.merge(base, adapter, folder.resolve("exact"), MergeFormat.HF_F32);
    try (BaseModelFiles had = BaseModelFiles.open(folder.resolve("m.gguf"), Quantization.NONE);
        BaseModelFiles exact = BaseModelFiles.open(folder.resolve("exact"), Quantization.NONE)) {
      GgmlMatrix wanted =
          switch (type) {
            case Q8_0 -> BlockQuantizer.q8(exact.linear(q));
            case Q4_0 -> BlockQuantizer.q4x0(exact.linear(q));
            default -> BlockQuantizer.q4x1(exact.linear(q));
          };
      assertEquals(wanted.blocks(), ((GgmlMatrix) had.linear(q)).blocks());
    }
  }

  @Test
  void matrixThatTheAdapterLeavesAloneKeepsItsFourBitBytes() throws IOException {
    // Given
    Path base = Merging.MODELS.resolve("gguf/llama-q4_1.gguf");
    ModuleId untouched = new ModuleId(0, LoraTarget.K_PROJ);
    // When
    Merging.merge(
        base,
        Merging.ADAPTERS.resolve("regex-targets"),
        folder.resolve("m.gguf"),
        MergeFormat.GGUF_Q4_1);
    // Then
    try (BaseModelFiles before = BaseModelFiles.open(base, Quantization.NONE);
        BaseModelFiles after = BaseModelFiles.open(folder.resolve("m.gguf"), Quantization.NONE)) {
      assertEquals(
          ((GgmlMatrix) before.linear(untouched)).blocks(),
          ((GgmlMatrix) after.linear(untouched)).blocks());
      assertEquals(
          before.ggufMetadata().get("tokenizer.ggml.tokens"),
          after.ggufMetadata().get("tokenizer.ggml.tokens"));
      assertEquals(3, after.ggufMetadata().get("general.file_type"));
    }
  }

  @ParameterizedTest
  @CsvSource({"llama-nf4, NF4", "llama-nf4-dq, NF4_DQ", "llama, NF4"})
  void nf4FolderIsReadBackWithTheScalesOfItsBase(String name, String form) throws IOException {
    // When
    Merge.Result result =
        Merging.merge(
            Merging.MODELS.resolve(name),
            Merging.ADAPTERS.resolve("rslora"),
            folder.resolve("m"),
            MergeFormat.NF4);
    // Then
    assertTrue(result.survival().orElseThrow().survival() > 0.9, "an update as large as its base");
    try (BaseModelFiles files = BaseModelFiles.open(folder.resolve("m"), Quantization.NONE)) {
      assertEquals(form, files.linear(new ModuleId(1, LoraTarget.DOWN_PROJ)).formatName());
    }
  }

  @Test
  void shardsHoldTheSameModelAsOneFile() throws IOException {
    // Given
    Path adapter = Merging.ADAPTERS.resolve("tied-modules-to-save");
    Path out = folder.resolve("m");
    // When
    Merging.merge(
        Merging.MODELS.resolve("llama"),
        adapter,
        new Merge.Options(out, MergeFormat.HF_F32, 100_000, false));
    // Then
    assertTrue(Files.exists(out.resolve("model.safetensors.index.json")));
    Merging.assertLogits(out, adapter.resolve("logits.json"), 2e-4);
  }

  @Test
  void biasThatTheFamilyCannotHoldIsRefusedByName() {
    // Given
    ModuleId id = new ModuleId(0, LoraTarget.DOWN_PROJ);
    LoraModule biased =
        new LoraModule(1, 1, zeros("a", 1, 96), zeros("b", 64, 1), zeros("bias", 64), null, null);
    LoraWeights adapter = new LoraWeights("biased@1", Map.of(id, biased), 0);
    // When
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                write(
                    Merging.MODELS.resolve("mistral"),
                    adapter,
                    folder.resolve("m"),
                    MergeFormat.HF_F16));
    // Then
    assertTrue(
        refused
            .getMessage()
            .contains("'biased@1' has a bias (lora_bias) on layers.0.mlp.down_proj"),
        refused.getMessage());
  }

  private static TensorData zeros(String name, long... shape) {
    int count = 1;
    for (long d : shape) {
      count *= (int) d;
    }
    ByteBuffer bytes = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    return new TensorData(name, TensorType.F32, shape, bytes);
  }
}
