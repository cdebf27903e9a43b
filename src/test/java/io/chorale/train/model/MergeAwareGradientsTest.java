package io.chorale.train.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.model.math.Buffers;
import io.chorale.train.model.weight.MergedWeight;
import io.chorale.train.rounding.FourBit;
import io.chorale.train.rounding.MergedRounding;
import io.chorale.train.rounding.Rounding;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Training through a rounding, against torch's autograd (golden/merge-aware/README.md). */
class MergeAwareGradientsTest {
  private final GoldenTraining golden = GoldenTraining.read();

  @ParameterizedTest
  @ValueSource(
      strings = {
        "q4_1-dither",
        "q4_1-keep",
        "q4_1-refit",
        "q4_0-dither",
        "qwen3-q4_1-dither",
        "nf4-dither",
        "float-to-nf4",
        "float-to-q4_1-rslora"
      })
  void lossAndGradientsAreThoseOfAutogradThroughTheRounding(String name) throws IOException {
    // Given
    JsonNode stated = stated(name);
    GoldenTraining.Case like = golden.named(stated.get("like").asText());
    Map<String, float[]> wanted = GoldenTraining.tensors("merge-aware", name);
    GoldenTraining.Case aware = like.with(aware(like.spec(), rounding(stated)));
    try (TrainableCausalLm model = aware.open(GoldenTraining.f32())) {
      // When
      double loss = model.lossAndGradients(golden.packed(), 1, 0);
      // Then
      double wantedLoss = 0;
      for (JsonNode one : stated.get("losses")) {
        wantedLoss += one.asDouble();
      }
      assertEquals(wantedLoss, loss, 1e-5 * wantedLoss, "loss");
      GoldenTraining.gradients(model)
          .forEach(
              (key, had) -> {
                double error = GoldenTraining.relative(had, wanted.get("grad." + key));
                assertTrue(error < 1e-4, () -> "gradient of %s: %.2e".formatted(key, error));
              });
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"q4_1-dither", "q4_1-refit", "q4_0-dither", "nf4-dither", "float-to-nf4"})
  void roundedWeightsAreTheReferencesBitForBit(String name) throws IOException {
    // Given
    JsonNode stated = stated(name);
    GoldenTraining.Case like = golden.named(stated.get("like").asText());
    Map<String, float[]> wanted = GoldenTraining.tensors("merge-aware", name);
    try (BaseModelFiles files = like.files()) {
      // When
      float[] q = rounded(files, like, new ModuleId(0, LoraTarget.Q_PROJ), rounding(stated));
      float[] down = rounded(files, like, new ModuleId(1, LoraTarget.DOWN_PROJ), rounding(stated));
      // Then
      assertArrayEquals(wanted.get("rounded.q"), q, 0f);
      assertArrayEquals(wanted.get("rounded.down"), down, 0f);
    }
  }

  private static float[] rounded(
      BaseModelFiles files, GoldenTraining.Case like, ModuleId id, MergedRounding rounding)
      throws IOException {
    try (TrainableCausalLm model = like.open(GoldenTraining.f32());
        Buffers buffers = new Buffers(TorchDevice.CPU, ScalarType.Float);
        MergedWeight weight =
            new MergedWeight(
                files.linear(id),
                rounding,
                id.index(files.spec().layers()),
                model.scalingOf(id),
                TorchDevice.CPU,
                ScalarType.Float)) {
      String stem = "base_model.model." + io.chorale.train.model.target.AdapterPlan.name(id);
      weight.update(value(model, stem + ".lora_A.weight"), value(model, stem + ".lora_B.weight"));
      return GoldenTraining.host(weight.dense(buffers, "w").contiguous());
    }
  }

  private static org.bytedeco.pytorch.Tensor value(TrainableCausalLm model, String key) {
    return model.parameters().stream()
        .filter(p -> p.key().equals(key))
        .findFirst()
        .orElseThrow()
        .value();
  }

  private static MergedRounding rounding(JsonNode stated) {
    return new MergedRounding(
        FourBit.parse(stated.get("format").asText()),
        Rounding.parse(stated.get("rounding").asText()));
  }

  private static JsonNode stated(String name) throws IOException {
    JsonNode all =
        new ObjectMapper()
            .readTree(GoldenTraining.GOLDEN.resolve("merge-aware/cases.json").toFile());
    for (JsonNode one : all.get("cases")) {
      if (one.get("name").asText().equals(name)) {
        return one;
      }
    }
    throw new IllegalArgumentException("no golden case " + name);
  }

  private static AdapterSpec aware(AdapterSpec s, MergedRounding rounding) {
    return new AdapterSpec(
        s.method(),
        s.rank(),
        s.alpha(),
        0,
        s.targetModules(),
        s.rankPattern(),
        s.alphaPattern(),
        s.modulesToSave(),
        Optional.of(rounding));
  }
}
