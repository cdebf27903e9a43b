package io.chorale.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.format.GoldenFiles;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.quant.Nf4Matrix;
import io.chorale.quant.PackedMatrix;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Golden: models, written by transformers, gguf-py and bitsandbytes. */
class BaseModelFilesTest {
  private static BaseModelFiles open(String model, Quantization quantization) throws IOException {
    return BaseModelFiles.open(GoldenFiles.path("models/" + model), quantization);
  }

  private static List<ModuleId> modules(BaseModelFiles files) {
    List<ModuleId> ids = new ArrayList<>();
    for (LoraTarget target : LoraTarget.values()) {
      for (int layer = 0; target.perLayer() && layer < files.spec().layers(); layer++) {
        ids.add(new ModuleId(layer, target));
      }
      if (!target.perLayer()) {
        ids.add(ModuleId.of(target));
      }
    }
    return ids;
  }

  private static float[] floats(PackedMatrix matrix) {
    float[] values = new float[matrix.rows() * matrix.cols()];
    matrix.dequantizeRows(0, matrix.rows(), values);
    return values;
  }

  @ParameterizedTest
  @CsvSource({
    // a step of 4-bit blocks is a 15th of the block's range, here up to about 1.2 for a weight's
    // 0.19
    "llama, gguf/llama-f16.gguf, 0.001",
    "llama, gguf/llama-q4_1.gguf, 0.06",
    "llama-untied, gguf/llama-untied-q4_0.gguf, 0.1",
    "llama3-rope, gguf/llama3-rope-q8_0.gguf, 0.01",
    "mistral, gguf/mistral-q4_0.gguf, 0.15",
    "qwen2, gguf/qwen2-q8_0.gguf, 0.01",
    "qwen3, gguf/qwen3-q4_1.gguf, 0.06"
  })
  void ggufGivesEveryWeightInTransformersOrder(String folder, String gguf, float tolerance)
      throws IOException {
    // Given
    try (BaseModelFiles wanted = open(folder, Quantization.NONE);
        BaseModelFiles had = open(gguf, Quantization.NONE)) {
      for (ModuleId id : modules(wanted)) {
        // When
        PackedMatrix matrix = had.linear(id);
        // Then
        assertEquals(wanted.linear(id).rows(), matrix.rows(), id.toString());
        assertArrayEquals(floats(wanted.linear(id)), floats(matrix), tolerance, id.toString());
        assertEquals(wanted.bias(id).isPresent(), had.bias(id).isPresent());
        if (had.bias(id).isPresent()) {
          assertArrayEquals(wanted.bias(id).get(), had.bias(id).get(), 0f, id.toString());
        }
      }
      List<String> norms = new ArrayList<>(List.of("input", "post_attention", "final"));
      norms.addAll(wanted.spec().qkNorm() ? List.of("q", "k") : List.of());
      for (String norm : norms) {
        assertArrayEquals(wanted.norm(norm, 1), had.norm(norm, 1), 0f, norm);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "llama, gguf/llama-f16.gguf",
    "llama-untied, gguf/llama-untied-q4_0.gguf",
    "qwen2, gguf/qwen2-q8_0.gguf",
    "qwen3, gguf/qwen3-q4_1.gguf"
  })
  void ggufGivesTheSameSpecAsTheFolderButForItsName(String folder, String gguf) throws IOException {
    try (BaseModelFiles wanted = open(folder, Quantization.NONE);
        BaseModelFiles had = open(gguf, Quantization.NONE)) {
      // When
      ModelSpec w = wanted.spec();
      // Then
      ModelSpec renamed =
          new ModelSpec(
              had.spec().name(),
              w.family(),
              w.layers(),
              w.hidden(),
              w.intermediate(),
              w.heads(),
              w.kvHeads(),
              w.headDim(),
              w.vocab(),
              w.maxPositions(),
              w.rmsEps(),
              w.rope(),
              w.qkvBias(),
              w.oBias(),
              w.mlpBias(),
              w.qkNorm(),
              w.slidingWindow(),
              w.tiedHead(),
              w.endTokenIds());
      assertEquals(renamed, had.spec());
    }
  }

  @Test
  void specOfEachFamilyHasWhatSetsItApart() throws IOException {
    try (BaseModelFiles mistral = open("mistral", Quantization.NONE);
        BaseModelFiles qwen2 = open("qwen2", Quantization.NONE);
        BaseModelFiles qwen3 = open("qwen3", Quantization.NONE);
        BaseModelFiles untied = open("llama-untied", Quantization.NONE)) {
      assertEquals(Family.MISTRAL, mistral.spec().family());
      assertEquals(6, mistral.spec().slidingWindow());
      assertEquals(128, mistral.spec().qWidth());
      assertTrue(qwen2.spec().qkvBias() && !qwen2.spec().oBias());
      assertEquals(0, qwen2.spec().slidingWindow());
      assertTrue(qwen3.spec().qkNorm() && !qwen3.spec().qkvBias());
      assertEquals(1e6, qwen3.spec().rope().theta());
      assertTrue(!untied.spec().tiedHead() && qwen3.spec().tiedHead());
      assertEquals(Set.of(256, 258), qwen3.spec().endTokenIds());
    }
  }

  @Test
  void ropeScalingIsReadFromBothKindsOfFile() throws IOException {
    try (BaseModelFiles llama3 = open("llama3-rope", Quantization.NONE);
        BaseModelFiles linear = open("llama-untied", Quantization.NONE);
        BaseModelFiles gguf = open("gguf/llama3-rope-q8_0.gguf", Quantization.NONE)) {
      assertEquals(
          new RopeSpec(10000, RopeSpec.Scaling.LLAMA3, 8, 1, 4, 64, null), llama3.spec().rope());
      assertEquals(
          new RopeSpec(5000, RopeSpec.Scaling.LINEAR, 4, 1, 1, 0, null), linear.spec().rope());
      float[] factors = gguf.spec().rope().freqFactors();
      assertEquals(8, factors.length);
      assertEquals(1f, factors[0]);
      assertEquals(8f, factors[7]);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void quantizingAtLoadGivesTheSameBytesAsBitsandbytesSaved(boolean doubleQuant)
      throws IOException {
    // Given
    Quantization form = doubleQuant ? Quantization.NF4_DQ : Quantization.NF4;
    String folder = doubleQuant ? "llama-nf4-dq" : "llama-nf4";
    int differing = 0;
    try (BaseModelFiles saved = open(folder, Quantization.NONE);
        BaseModelFiles source = open("llama", form)) {
      for (ModuleId id : modules(source)) {
        // When
        PackedMatrix had = source.linear(id);
        // Then
        PackedMatrix wanted = saved.linear(id);
        assertEquals(wanted.formatName(), had.formatName());
        if (had instanceof Nf4Matrix h && wanted instanceof Nf4Matrix w) {
          assertEquals(w.packed(), h.packed(), id.toString());
          // The 8-bit code of a scale near a tie may be the neighbour's, see Nf4Quantizer.
          float step = doubleQuant ? 0.015f * w.doubleQuant().orElseThrow().absmax()[0] : 0;
          assertArrayEquals(w.absmax(), h.absmax(), step, id.toString());
          differing += doubleQuant ? codesThatDiffer(w, h) : 0;
        } else {
          assertTrue(!id.target().perLayer(), id + " is " + had.formatName());
          assertArrayEquals(floats(wanted), floats(had), 0f);
        }
      }
    }
    assertTrue(differing <= 2, differing + " of 960 scales have another code");
  }

  private static int codesThatDiffer(Nf4Matrix wanted, Nf4Matrix had) {
    byte[] w = wanted.doubleQuant().orElseThrow().codes();
    byte[] h = had.doubleQuant().orElseThrow().codes();
    int differing = 0;
    for (int i = 0; i < w.length; i++) {
      differing += w[i] == h[i] ? 0 : 1;
    }
    return differing;
  }

  @ParameterizedTest
  @CsvSource({"Q4, Q4_1, 0.08", "Q8, Q8_0, 0.01"})
  void quantizingAtLoadKeepsValuesCloseAndLeavesTheEmbeddingAlone(
      Quantization form, String name, float tolerance) throws IOException {
    try (BaseModelFiles full = open("llama", Quantization.NONE);
        BaseModelFiles packed = open("llama", form)) {
      for (ModuleId id : modules(full)) {
        // When
        PackedMatrix had = packed.linear(id);
        // Then
        assertEquals(id.target().perLayer() ? name : "BF16", had.formatName());
        assertArrayEquals(floats(full.linear(id)), floats(had), tolerance, id.toString());
      }
    }
  }

  @Test
  void weightsThatAreQuantizedAlreadyAreNotRoundedAgain() throws IOException {
    try (BaseModelFiles plain = open("gguf/llama-q4_1.gguf", Quantization.NONE);
        BaseModelFiles asked = open("gguf/llama-q4_1.gguf", Quantization.NF4)) {
      ModuleId id = new ModuleId(1, LoraTarget.DOWN_PROJ);
      // When
      PackedMatrix had = asked.linear(id);
      // Then
      assertEquals("Q4_1", had.formatName());
      assertArrayEquals(floats(plain.linear(id)), floats(had), 0f);
    }
  }

  @Test
  void tiedHeadIsTheEmbeddingAndAnUntiedOneIsNot() throws IOException {
    try (BaseModelFiles tied = open("llama", Quantization.NONE);
        BaseModelFiles untied = open("llama-untied", Quantization.NONE)) {
      ModuleId embedding = ModuleId.of(LoraTarget.EMBED_TOKENS);
      ModuleId head = ModuleId.of(LoraTarget.LM_HEAD);
      // When, then
      assertArrayEquals(floats(tied.linear(embedding)), floats(tied.linear(head)));
      assertNotEquals(floats(untied.linear(embedding))[0], floats(untied.linear(head))[0]);
    }
  }

  @Test
  void tokenizerAndTemplateComeWithTheFiles() throws IOException {
    try (BaseModelFiles folder = open("llama", Quantization.NONE);
        BaseModelFiles gguf = open("gguf/llama-f16.gguf", Quantization.NONE)) {
      assertTrue(folder.tokenizerJson().orElseThrow().contains("<|im_start|>"));
      assertTrue(folder.tokenizerConfigJson().orElseThrow().contains("bos_token"));
      assertEquals(folder.chatTemplate(), gguf.chatTemplate());
      assertEquals("gpt2", gguf.ggufMetadata().get("tokenizer.ggml.model"));
      assertTrue(gguf.tokenizerJson().isEmpty() && folder.ggufMetadata().isEmpty());
    }
  }

  @Test
  void fingerprintNamesTheBaseAndNotHowItIsLoaded() throws IOException {
    try (BaseModelFiles llama = open("llama", Quantization.NONE);
        BaseModelFiles again = open("llama", Quantization.NF4);
        BaseModelFiles other = open("llama3-rope", Quantization.NONE)) {
      assertEquals(llama.fingerprint(), again.fingerprint());
      assertTrue(llama.fingerprint().matches("sha256:[0-9a-f]{64}"), llama.fingerprint());
      assertNotEquals(llama.fingerprint(), other.fingerprint());
    }
  }

  @Test
  void folderWithOneGgufIsThatModel(@TempDir Path dir) throws IOException {
    // Given
    Path source = GoldenFiles.path("models/gguf/qwen2-q8_0.gguf");
    Files.copy(source, dir.resolve("model.gguf"));
    // When
    try (BaseModelFiles files = BaseModelFiles.open(dir, Quantization.NONE)) {
      // Then
      assertEquals(Family.QWEN2, files.spec().family());
    }
  }
}
