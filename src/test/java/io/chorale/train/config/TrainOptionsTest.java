package io.chorale.train.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.train.model.TrainMethod;
import io.chorale.train.rounding.Rounding;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TrainOptionsTest {
  @TempDir Path folder;

  private static Map<Flag, List<String>> given(String... keysAndValues) {
    Map<Flag, List<String>> given = new EnumMap<>(Flag.class);
    given.put(Flag.DATA, List.of("my.jsonl"));
    given.put(Flag.NAME, List.of("legal"));
    for (int i = 0; i < keysAndValues.length; i += 2) {
      given.put(Flag.ofKey(keysAndValues[i]), List.of(keysAndValues[i + 1]));
    }
    return given;
  }

  private static TrainOptions options(String... keysAndValues) {
    return TrainOptions.of(FlagValues.of(given(keysAndValues), Map.of()));
  }

  private static String refusal(String... keysAndValues) {
    return assertThrows(IllegalArgumentException.class, () -> options(keysAndValues)).getMessage();
  }

  @Test
  void defaultsAreThoseOfTheField() {
    // When
    TrainOptions options = options();
    // Then
    assertEquals(TrainMethod.LORA, options.adapter().method());
    assertEquals(16, options.adapter().rank());
    assertEquals(32f, options.adapter().alpha());
    assertEquals(0.05f, options.adapter().dropout());
    assertEquals(List.of("all-linear"), options.adapter().targetModules());
    assertEquals(2e-4, options.optimization().lr());
    assertEquals(0.03, options.optimization().warmup());
    assertEquals(0.3, options.optimization().maxGradNorm());
    assertEquals(2048, options.data().maxSeqLength());
    assertEquals(Path.of("adapters/legal"), options.saving().out());
  }

  @Test
  void retainedTextsNeedAnAdapterOfFactorsOnly() {
    assertTrue(options().retain().isEmpty());
    assertEquals(
        new TrainOptions.Retain(List.of(Path.of("a.jsonl")), 1, 8),
        options("retain-data", "a.jsonl").retain().orElseThrow());
    assertTrue(refusal("retain-data", "a.jsonl", "method", "full").contains("--method full"));
    assertTrue(
        refusal("retain-data", "a.jsonl", "modules-to-save", "lm_head")
            .contains("--modules-to-save"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "rank          | 0       | --rank is '0', wanted a whole number from 1",
        "alpha         | -1      | --alpha is '-1', wanted a number above 0",
        "alpha         | nan     | --alpha is 'nan', wanted a number above 0",
        "dropout       | 1       | --dropout is '1', wanted a number from 0 and below 1",
        "lr            | fast    | --lr is 'fast', wanted a number above 0",
        "lr            | Infinity| --lr is 'Infinity', wanted a number above 0",
        "batch-size    | 2.5     | --batch-size is '2.5', wanted a whole number from 1",
        "method        | qlora   | --method is 'qlora', wanted one of [lora, rslora, dora, full]",
        "packing       | yes     | --packing is 'yes', wanted true or false",
        "save-every    | 0       | --save-every is '0', wanted epoch, never, or steps from 1",
        "rank-pattern  | q_proj  | --rank-pattern is 'q_proj', wanted PATTERN=VALUE with a whole",
        "name          | a/b     | --name is 'a/b', wanted 1 to 128 of",
        "eval-split    | 0.6     | --eval-split is '0.6', wanted a number from 0 to 0.5",
        "early-stopping| 3       | --early-stopping is 3 without held-out data",
        "merge-aware   | q8_0    | --merge-aware is 'q8_0', wanted one of [off, nf4, q4_0, q4_1]",
        "merge-rounding| keep    | --merge-rounding is keep without --merge-aware, wanted both",
        "merge-aware   | nf4     | --merge-aware is given with --dropout 0.05, wanted --dropout 0",
      })
  void valueOutOfItsBoundsIsRefusedWithFlagValueAndBound(String key, String value, String wanted) {
    assertTrue(refusal(key, value).startsWith(wanted), refusal(key, value));
  }

  @Test
  void mergeAwareRunRefusesWhatWouldMergeIntoOtherWeights() {
    String[] aware = {"merge-aware", "q4_1", "dropout", "0"};
    assertTrue(refusal(with(aware, "method", "dora")).contains("wanted lora or rslora"));
    assertTrue(refusal(with(aware, "save-dtype", "f16")).contains("wanted f32"));
    assertTrue(refusal(with(aware, "base-quantization", "nf4")).contains("wanted as-is"));
    assertEquals(Rounding.DITHER, options(aware).adapter().mergeAware().get().rounding());
  }

  private static String[] with(String[] given, String... more) {
    return Stream.concat(Stream.of(given), Stream.of(more)).toArray(String[]::new);
  }

  @Test
  void namesAreSplitAtCommasAndRegularExpressionsAreNot() {
    // When
    List<String> names = options("target-modules", "q_proj,v_proj").adapter().targetModules();
    List<String> regex = options("target-modules", ".*[0-9]{1,2}.q_proj").adapter().targetModules();
    // Then
    assertEquals(List.of("q_proj", "v_proj"), names);
    assertEquals(List.of(".*[0-9]{1,2}.q_proj"), regex);
  }

  @Test
  void whatIsWrittenAsYamlReadsBackAsTheSameRun() throws IOException {
    // Given
    Map<Flag, List<String>> given =
        given("lr", "5e-5", "alpha", "8", "seed", "-9", "method", "dora", "packing", "true");
    given.put(Flag.DATA, List.of("a.jsonl", "b: odd #name.jsonl"));
    given.put(Flag.RANK_PATTERN, List.of("q_proj=4", "layers\\.(0|1)=x=8"));
    given.put(Flag.NAME, List.of("123"));
    FlagValues values = FlagValues.of(given, Map.of());
    // When
    Path file = Files.writeString(folder.resolve("run.yaml"), ConfigYaml.write(values));
    FlagValues read = FlagValues.of(Map.of(), ConfigYaml.read(file));
    // Then
    assertEquals(values.asText(), read.asText());
    assertEquals(TrainOptions.of(values).adapter(), TrainOptions.of(read).adapter());
  }

  @Test
  void flagsWinOverYamlAndYamlOverDefaults() throws IOException {
    // Given
    Path file =
        Files.writeString(
            folder.resolve("run.yaml"),
            """
            rank: 8
            alpha: 4
            target-modules: [q_proj, v_proj]
            rank-pattern: {o_proj: 2}
            """);
    // When
    TrainOptions options =
        TrainOptions.of(FlagValues.of(given("rank", "64"), ConfigYaml.read(file)));
    // Then
    assertEquals(64, options.adapter().rank());
    assertEquals(4f, options.adapter().alpha());
    assertEquals(List.of("q_proj", "v_proj"), options.adapter().targetModules());
    assertEquals(Map.of("o_proj", 2), options.adapter().rankPattern());
    assertEquals(0.05f, options.adapter().dropout());
  }

  @Test
  void unknownKeyIsRefusedWithTheNearestKnownOne() throws IOException {
    // Given
    Path file = Files.writeString(folder.resolve("run.yaml"), "learning-rat: 1\nlora-rank: 3\n");
    // When
    var e = assertThrows(IllegalArgumentException.class, () -> ConfigYaml.read(file));
    // Then
    assertTrue(e.getMessage().contains("run.yaml: unknown key 'learning-rat'; did you mean"));
    var max = assertThrows(IllegalArgumentException.class, () -> Flag.ofKey("max-seq-len"));
    assertTrue(max.getMessage().endsWith("did you mean 'max-seq-length'?"), max.getMessage());
  }

  @Test
  void keyGivenTwiceInYamlIsRefused() throws IOException {
    // Given
    Path file = Files.writeString(folder.resolve("run.yaml"), "rank: 8\nrank: 16\n");
    // When
    var e = assertThrows(IllegalArgumentException.class, () -> ConfigYaml.read(file));
    // Then
    assertTrue(e.getMessage().contains("run.yaml is no YAML"), e.getMessage());
  }

  @Test
  void placesAndThreadsDoNotShapeTheResultButTheLearningRateDoes() {
    // Given
    FlagValues one = FlagValues.of(given("threads", "1", "out", "here"), Map.of());
    FlagValues two = FlagValues.of(given("threads", "2", "out", "there"), Map.of());
    FlagValues three = FlagValues.of(given("lr", "1e-3"), Map.of());
    // Then
    assertEquals(one.shaping(), two.shaping());
    assertEquals("0.001", three.shaping().get("lr"));
    assertEquals("2.0E-4", one.shaping().get("lr"));
  }
}
