package io.chorale.adapter.read;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.format.PeftAdapterFiles;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.ModelSpec;
import io.chorale.model.Quantization;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The matching rules against what PEFT itself made of each config, on a tied and an untied base.
 */
class PeftTargetsTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden");

  static Stream<JsonNode> rules() throws IOException {
    JsonNode rules = new ObjectMapper().readTree(GOLDEN.resolve("adapters/matching.json").toFile());
    return StreamSupport.stream(rules.spliterator(), false);
  }

  private static ModelSpec spec(String base) throws IOException {
    try (var files = BaseModelFiles.open(GOLDEN.resolve("models/" + base), Quantization.NONE)) {
      return files.spec();
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("rules")
  void modulesRanksAndScalingsAreThoseThatPeftResolved(JsonNode rule) throws IOException {
    // Given
    Map<String, String> wanted = new TreeMap<>();
    rule.get("modules")
        .properties()
        .forEach(
            m ->
                wanted.put(
                    m.getKey(),
                    m.getValue().get("rank").asInt()
                        + " "
                        + (float) m.getValue().get("scaling").asDouble()));
    Set<String> wantedWhole = new TreeSet<>();
    rule.get("replaced").forEach(m -> wantedWhole.add(m.asText()));
    byte[] json = rule.get("config").toString().getBytes(StandardCharsets.UTF_8);
    ModelSpec spec = spec(rule.get("base").asText());
    // When
    Map<String, String> had = new TreeMap<>();
    Set<String> hadWhole = new TreeSet<>();
    try {
      PeftTargets.Plan plan = PeftTargets.resolve(PeftAdapterFiles.config(json), spec);
      plan.adapted().forEach((id, p) -> had.put(PeftTargets.key(id), p.rank() + " " + p.scaling()));
      for (ModuleId id : plan.replaced()) {
        hadWhole.add(PeftTargets.key(id));
      }
    } catch (IllegalArgumentException e) { // PEFT found no module either, then
      had.clear();
    }
    // Then
    assertEquals(wanted, had);
    assertEquals(wantedWhole, hadWhole);
  }
}
