package io.chorale.train.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.train.model.target.AdapterPlan;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class AdapterPlanTest {
  /** Options of PEFT that this trainer does not have. */
  private static final Set<String> OTHERS =
      Set.of("layers_to_transform", "layers_pattern", "exclude_modules", "ensure_weight_tying");

  @Test
  void modulesRanksAndScalingsAreThosePeftResolves() throws IOException {
    JsonNode cases =
        new ObjectMapper()
            .readTree(GoldenTraining.GOLDEN.resolve("adapters/matching.json").toFile());
    int checked = 0;
    for (JsonNode one : cases) {
      JsonNode config = one.get("config");
      if (OTHERS.stream().anyMatch(config::has) || !config.has("target_modules")) {
        continue;
      }
      if (one.get("modules").isEmpty() || ambiguous(config)) {
        continue;
      }
      Map<String, String> wanted = new TreeMap<>();
      one.get("modules")
          .fields()
          .forEachRemaining(
              e ->
                  wanted.put(
                      e.getKey(),
                      e.getValue().get("rank").asInt()
                          + " "
                          + (float) e.getValue().get("scaling").asDouble()));
      try (BaseModelFiles files = base(one.get("base").asText())) {
        AdapterPlan plan = AdapterPlan.of(spec(config), files.spec());
        Map<String, String> had = new TreeMap<>();
        plan.adapted()
            .forEach(
                (id, placed) ->
                    had.put(AdapterPlan.name(id), placed.rank() + " " + placed.scaling()));
        assertEquals(wanted, had, config::toString);
        Set<String> replaced = new TreeSet<>();
        one.get("replaced").forEach(name -> replaced.add(name.asText()));
        Set<String> saved = new TreeSet<>();
        plan.saved().forEach(id -> saved.add(AdapterPlan.name(id)));
        assertEquals(replaced, saved, config::toString);
      }
      checked++;
    }
    assertTrue(checked >= 20, "only " + checked + " cases");
  }

  /** A string that names an end of a module is a pattern to PEFT and a name here. */
  private static boolean ambiguous(JsonNode config) {
    return config.get("target_modules").isTextual()
        && config.get("target_modules").asText().matches("[a-z_|]+");
  }

  private static BaseModelFiles base(String name) throws IOException {
    return BaseModelFiles.open(
        GoldenTraining.GOLDEN.resolve("models").resolve(name), Quantization.NONE);
  }

  private static AdapterSpec spec(JsonNode config) {
    Map<String, Integer> ranks = new LinkedHashMap<>();
    config
        .path("rank_pattern")
        .fields()
        .forEachRemaining(e -> ranks.put(e.getKey(), e.getValue().asInt()));
    Map<String, Float> alphas = new LinkedHashMap<>();
    config
        .path("alpha_pattern")
        .fields()
        .forEachRemaining(e -> alphas.put(e.getKey(), (float) e.getValue().asDouble()));
    return new AdapterSpec(
        config.path("use_rslora").asBoolean() ? TrainMethod.RSLORA : TrainMethod.LORA,
        config.get("r").asInt(),
        (float) config.get("lora_alpha").asDouble(),
        0,
        strings(config.get("target_modules")),
        ranks,
        alphas,
        strings(config.path("modules_to_save")));
  }

  private static List<String> strings(JsonNode node) {
    List<String> out = new ArrayList<>();
    if (node.isTextual()) {
      out.add(node.asText());
    }
    node.forEach(each -> out.add(each.asText()));
    return out;
  }

  private static AdapterSpec targeting(TrainMethod method, String target, String saved) {
    return new AdapterSpec(
        method,
        4,
        8,
        0,
        List.of(target),
        Map.of(),
        Map.of(),
        saved.isEmpty() ? List.of() : List.of(saved));
  }

  private static String refusal(String base, AdapterSpec spec) throws IOException {
    try (BaseModelFiles files = base(base)) {
      return assertThrows(
              IllegalArgumentException.class,
              () -> TrainableCausalLm.open(files, spec, GoldenTraining.f32(), 1))
          .getMessage();
    }
  }

  @Test
  void targetsThatMatchNothingAreRefused() throws IOException {
    String message = refusal("llama", targeting(TrainMethod.LORA, "query", ""));
    assertTrue(message.contains("[query] match no module of"), message);
  }

  @Test
  void normsCannotBeSavedWhole() throws IOException {
    String message = refusal("llama", targeting(TrainMethod.LORA, "q_proj", "norm"));
    assertTrue(message.contains("modules_to_save names 'norm'"), message);
  }

  @Test
  void fullFineTuningOfA4BitBaseIsRefusedByTheModulesName() throws IOException {
    String message = refusal("llama-nf4", targeting(TrainMethod.FULL, "all-linear", ""));
    assertTrue(message.contains("model.layers.0.self_attn.q_proj is quantized (NF4)"), message);
  }

  @Test
  void unadaptedModuleHasNoRank() throws IOException {
    try (BaseModelFiles files = base("llama");
        TrainableCausalLm model =
            TrainableCausalLm.open(
                files, targeting(TrainMethod.LORA, "q_proj", ""), GoldenTraining.f32(), 1)) {
      ModuleId q = model.targets().get(0);
      assertEquals("layers.0.self_attn.q_proj", q.toString());
      assertEquals(4, model.rankOf(q));
      assertEquals(2f, model.scalingOf(q));
      ModuleId up = new ModuleId(0, io.chorale.lora.LoraTarget.UP_PROJ);
      assertThrows(IllegalArgumentException.class, () -> model.rankOf(up));
    }
  }
}
