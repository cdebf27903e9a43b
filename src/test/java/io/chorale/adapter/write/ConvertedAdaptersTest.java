package io.chorale.adapter.write;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRef;
import io.chorale.adapter.read.AdapterContents;
import io.chorale.format.TensorData;
import io.chorale.lora.LoraModule;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Golden adapters written in another form and read back. That the readers understand PEFT's, MLX's
 * and llama.cpp's files is AdapterGoldenTest's; that llama.cpp understands ours is checked by
 * benchmarks/golden/gguf_adapters.py.
 */
class ConvertedAdaptersTest {
  private static final Path ADAPTERS = Path.of("src/test/resources/golden/adapters");
  private static final Path MODELS = Path.of("src/test/resources/golden/models");

  /** What llama.cpp's adapters cannot say, on these bases. */
  private static final Set<String> NOT_IN_GGUF =
      Set.of(
          "dora",
          "dora-rslora",
          "dora-embed-head",
          "nf4-dora",
          "mlx-dora",
          "lora-bias",
          "mlx-tied-embedding",
          "tied-embed-head",
          "tied-ensured",
          "tied-modules-to-save",
          "untied-modules-to-save");

  @TempDir Path temp;

  record Case(String name, String base) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Case> all() throws IOException {
    JsonNode cases = new ObjectMapper().readTree(ADAPTERS.resolve("cases.json").toFile());
    return StreamSupport.stream(cases.spliterator(), false)
        .map(c -> new Case(c.get("name").asText(), c.get("base").asText()));
  }

  static Stream<Case> ggufKnows() throws IOException {
    return all().filter(c -> !NOT_IN_GGUF.contains(c.name()));
  }

  static Stream<Case> ggufCannotSay() throws IOException {
    return all().filter(c -> NOT_IN_GGUF.contains(c.name()));
  }

  private static AdapterContents read(BaseModelFiles base, Path path) {
    AdapterLoader.Loaded loaded =
        new AdapterLoader(base.spec(), base.fingerprint(), AdapterLoader.DEFAULT_MAX_BYTES)
            .load(new AdapterRef("a", 1), path);
    return new AdapterContents(
        loaded.weights().modules(), loaded.method(), loaded.weights().bytes());
  }

  private static BaseModelFiles base(Case golden) throws IOException {
    return BaseModelFiles.open(MODELS.resolve(golden.base()), Quantization.NONE);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("all")
  void asAPeftFolderEveryTensorRankAndScalingStaysTheSame(Case golden) throws IOException {
    try (BaseModelFiles base = base(golden)) {
      // Given
      AdapterContents before = read(base, ADAPTERS.resolve(golden.name()));
      // When
      Path folder = Files.createDirectory(temp.resolve("peft"));
      PeftFolderWriter.write(folder, before, base.spec(), "tiny", base.fingerprint());
      AdapterContents after = read(base, folder);
      // Then
      assertEquals(before.modules().keySet(), after.modules().keySet());
      before
          .modules()
          .forEach(
              (id, module) -> {
                LoraModule other = after.modules().get(id);
                assertEquals(module.rank(), other.rank(), id + " rank");
                assertEquals(module.scaling(), other.scaling(), id + " scaling");
                assertSame(module.a(), other.a(), id + " a");
                assertSame(module.b(), other.b(), id + " b");
                assertSame(module.bias(), other.bias(), id + " bias");
                assertSame(module.magnitude(), other.magnitude(), id + " magnitude");
                assertSame(module.replacement(), other.replacement(), id + " replacement");
              });
    }
  }

  private static void assertSame(TensorData wanted, TensorData had, String what) {
    if (wanted == null || had == null) {
      assertEquals(wanted, had, what);
      return;
    }
    assertEquals(wanted.type(), had.type(), what);
    assertArrayEquals(wanted.shape(), had.shape(), what);
    assertEquals(wanted.bytes(), had.bytes(), what);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("ggufKnows")
  void asGgufEveryUpdateStaysTheSameWhateverScaledIt(Case golden) throws IOException {
    try (BaseModelFiles base = base(golden)) {
      // Given
      AdapterContents before = read(base, ADAPTERS.resolve(golden.name()));
      // When
      Path file = temp.resolve("a.gguf");
      GgufAdapterWriter.write(file, before, "a", base.spec());
      AdapterContents after = read(base, file);
      // Then
      assertEquals(before.modules().keySet(), after.modules().keySet());
      before.modules().forEach((id, module) -> assertSameUpdate(id, module, after));
    }
  }

  private static void assertSameUpdate(ModuleId id, LoraModule module, AdapterContents after) {
    LoraModule other = after.modules().get(id);
    assertEquals(module.rank(), other.rank(), id + " rank");
    assertArrayEquals(module.a().toFloats(), other.a().toFloats(), id + " a");
    float[] wanted = module.b().toFloats();
    float[] had = other.b().toFloats();
    for (int i = 0; i < wanted.length; i++) {
      double update = (double) module.scaling() * wanted[i];
      assertEquals(update, (double) other.scaling() * had[i], 3e-7 * Math.abs(update), id + " b");
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("ggufCannotSay")
  void whatLlamaCppCannotApplyIsRefusedWithTheWayOut(Case golden) throws IOException {
    try (BaseModelFiles base = base(golden)) {
      // Given
      AdapterContents adapter = read(base, ADAPTERS.resolve(golden.name()));
      Path file = temp.resolve("a.gguf");
      // When
      IllegalArgumentException refusal =
          assertThrows(
              IllegalArgumentException.class,
              () -> GgufAdapterWriter.write(file, adapter, "a", base.spec()));
      // Then
      assertTrue(refusal.getMessage().contains("chorale merge ADAPTER --out model.gguf"));
      assertFalse(Files.exists(file));
    }
  }
}
