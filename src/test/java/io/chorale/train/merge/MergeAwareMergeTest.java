package io.chorale.train.merge;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.format.TensorData;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.LoraWeights;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.quant.PackedMatrix;
import io.chorale.quant.TensorType;
import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.math.Buffers;
import io.chorale.train.model.weight.MergedWeight;
import io.chorale.train.rounding.MergedRounding;
import io.chorale.train.rounding.Rounding;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What training computes with, against what the merge writes. */
class MergeAwareMergeTest {
  private static final int RANK = 3;
  private static final float SCALING = 1.7f;

  @TempDir Path folder;

  private record Factors(float[] a, float[] b) {}

  private final Map<ModuleId, Factors> factors = new HashMap<>();

  @ParameterizedTest
  @CsvSource({
    "gguf/llama-q4_1.gguf, GGUF_Q4_1, DITHER",
    "gguf/llama-q4_1.gguf, GGUF_Q4_1, KEEP",
    "gguf/llama-q4_1.gguf, GGUF_Q4_1, REFIT",
    "gguf/llama-q4_1.gguf, GGUF_Q4_0, DITHER",
    "gguf/qwen3-q4_1.gguf, GGUF_Q4_1, DITHER",
    "gguf/llama-untied-q4_0.gguf, GGUF_Q4_0, DITHER",
    "llama-nf4, NF4, DITHER",
    "llama-nf4-dq, NF4, DITHER",
    "llama-nf4-dq, NF4, REFIT",
    "llama, NF4, DITHER",
    "llama, GGUF_Q4_1, DITHER"
  })
  void everyMatrixOfTheMergedModelIsTheOneTrainingComputedWith(
      String name, MergeFormat format, Rounding rounding) throws IOException {
    // Given
    Path base = Merging.MODELS.resolve(name);
    Path out = folder.resolve(format.gguf() ? "m.gguf" : "m");
    MergedRounding how = new MergedRounding(format.rounded().orElseThrow(), rounding);
    try (BaseModelFiles files = BaseModelFiles.open(base, Quantization.NONE)) {
      LoraWeights adapter = adapter(files, 0.02f);
      // When
      merge(files, base, adapter, new Merge.Options(out, format, Merging.SHARD, false, rounding));
      // Then
      try (BaseModelFiles merged = BaseModelFiles.open(out, Quantization.NONE)) {
        for (ModuleId id : factors.keySet()) {
          assertArrayEquals(
              trained(files, id, how), values(merged.linear(id)), 0f, id + " of " + name);
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "gguf/llama-q4_1.gguf, GGUF_Q4_1, DITHER",
    "gguf/llama-q4_1.gguf, GGUF_Q4_1, KEEP",
    "gguf/llama-untied-q4_0.gguf, GGUF_Q4_0, DITHER",
    "llama-nf4, NF4, DITHER",
    "llama-nf4-dq, NF4, KEEP"
  })
  void updateOfZeroLeavesEveryWeightAsItIs(String name, MergeFormat format, Rounding rounding)
      throws IOException {
    // Given
    Path base = Merging.MODELS.resolve(name);
    Path out = folder.resolve(format.gguf() ? "m.gguf" : "m");
    try (BaseModelFiles files = BaseModelFiles.open(base, Quantization.NONE)) {
      LoraWeights adapter = adapter(files, 0);
      // When
      merge(files, base, adapter, new Merge.Options(out, format, Merging.SHARD, false, rounding));
      // Then
      try (BaseModelFiles merged = BaseModelFiles.open(out, Quantization.NONE)) {
        for (ModuleId id : factors.keySet()) {
          assertArrayEquals(values(files.linear(id)), values(merged.linear(id)), 0f, id.toString());
        }
      }
    }
  }

  @Test
  void ditherKeepsAnUpdateOfATenthOfAStepThatTheNearestValueLoses() throws IOException {
    // Given
    Path base = Merging.MODELS.resolve("gguf/llama-q4_1.gguf");
    try (BaseModelFiles files = BaseModelFiles.open(base, Quantization.NONE)) {
      LoraWeights adapter = adapter(files, 0.0005f);
      // When
      double dithered = survival(files, base, adapter, Rounding.DITHER);
      double nearest = survival(files, base, adapter, Rounding.KEEP);
      // Then
      assertEquals(1, dithered, 0.2);
      assertTrue(nearest < 0.05, "nearest keeps " + nearest);
    }
  }

  private double survival(BaseModelFiles files, Path base, LoraWeights adapter, Rounding rounding)
      throws IOException {
    Path out = folder.resolve(rounding + ".gguf");
    return merge(
            files,
            base,
            adapter,
            new Merge.Options(out, MergeFormat.GGUF_Q4_1, Merging.SHARD, false, rounding))
        .survival()
        .orElseThrow()
        .survival();
  }

  private static Merge.Result merge(
      BaseModelFiles files, Path base, LoraWeights adapter, Merge.Options options)
      throws IOException {
    return Merge.run(files, base, adapter, options, (done, total) -> {});
  }

  private LoraWeights adapter(BaseModelFiles files, float size) {
    Random random = new Random(3);
    Map<ModuleId, LoraModule> modules = new HashMap<>();
    for (int layer = 0; layer < files.spec().layers(); layer++) {
      for (LoraTarget target : LoraTarget.values()) {
        if (!target.perLayer()) {
          continue;
        }
        ModuleId id = new ModuleId(layer, target);
        PackedMatrix base = files.linear(id);
        Factors made =
            new Factors(
                values(random, RANK * base.cols(), 1), values(random, base.rows() * RANK, size));
        factors.put(id, made);
        TensorData a = tensor("a", made.a(), RANK, base.cols());
        TensorData b = tensor("b", made.b(), base.rows(), RANK);
        modules.put(id, new LoraModule(RANK, SCALING, a, b, null, null, null));
      }
    }
    return new LoraWeights("made", modules, 0);
  }

  private static float[] values(Random random, int count, float size) {
    float[] out = new float[count];
    for (int i = 0; i < count; i++) {
      out[i] = size * (float) random.nextGaussian();
    }
    return out;
  }

  private static TensorData tensor(String name, float[] values, int rows, int cols) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return new TensorData(name, TensorType.F32, new long[] {rows, cols}, bytes);
  }

  private float[] trained(BaseModelFiles files, ModuleId id, MergedRounding how) {
    PackedMatrix base = files.linear(id);
    Factors with = factors.get(id);
    try (Scope scope = Scope.open();
        Buffers buffers = new Buffers(TorchDevice.CPU, ScalarType.Float);
        MergedWeight weight =
            new MergedWeight(
                base,
                how,
                id.index(files.spec().layers()),
                SCALING,
                TorchDevice.CPU,
                ScalarType.Float)) {
      weight.update(
          TorchDevice.CPU.floats(with.a(), RANK, base.cols()),
          TorchDevice.CPU.floats(with.b(), base.rows(), RANK));
      float[] out = new float[base.rows() * base.cols()];
      TorchDevice.CPU.read(weight.dense(buffers, "w"), out, 0, out.length);
      return out;
    }
  }

  private static float[] values(PackedMatrix matrix) {
    float[] out = new float[matrix.rows() * matrix.cols()];
    matrix.dequantizeRows(0, matrix.rows(), out);
    return out;
  }
}
