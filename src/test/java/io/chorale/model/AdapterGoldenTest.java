package io.chorale.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRef;
import io.chorale.it.TestOps;
import io.chorale.kernel.ForwardInputs;
import io.chorale.kernel.KvPages;
import io.chorale.kernel.LoraTable;
import io.chorale.kernel.Ops;
import io.chorale.lora.LoraSlots;
import io.chorale.lora.LoraWeights;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every adapter variant against PEFT's logits (golden/adapters/README.md), alone and together. */
class AdapterGoldenTest {
  /** Of a position's largest logit (about 20): ten times closer than the promised 1e-4. */
  private static final double TOLERANCE = 1e-5;

  /** Keys, values and LoRA factors in half precision. */
  private static final double SERVED_TOLERANCE = 3e-3;

  private static final Path ADAPTERS = TinyModel.GOLDEN.resolve("adapters");
  private static final Path MODELS = TinyModel.GOLDEN.resolve("models");
  private static final int BLOCK = 4;

  /**
   * One line of cases.json.
   *
   * @param folder below golden/adapters
   * @param golden the folder whose logits it must give
   */
  record Variant(String folder, String base, String golden) {
    LoraWeights load(ModelSpec spec) {
      String name = folder.replace('/', '-');
      return new AdapterLoader(spec, base, AdapterLoader.DEFAULT_MAX_BYTES)
          .load(new AdapterRef(name, 1), ADAPTERS.resolve(folder))
          .weights();
    }

    List<GoldenLogits> logits() throws IOException {
      return GoldenLogits.read(ADAPTERS.resolve(golden).resolve("logits.json"));
    }
  }

  static List<Variant> variants() throws IOException {
    List<Variant> all = new ArrayList<>();
    for (JsonNode line : new ObjectMapper().readTree(ADAPTERS.resolve("cases.json").toFile())) {
      String folder = line.get("name").asText();
      String golden = line.has("same_as") ? line.get("same_as").asText() : folder;
      all.add(new Variant(folder, line.get("base").asText(), golden));
    }
    return all;
  }

  static Stream<Variant> onFourBits() throws IOException {
    return variants().stream().filter(variant -> variant.base().endsWith("nf4"));
  }

  @ParameterizedTest
  @MethodSource("variants")
  void adapterGivesPeftsLogitsWholeAndChunked(Variant variant) throws IOException {
    checkAlone(variant, TestOps.dense(), TOLERANCE);
  }

  @ParameterizedTest
  @MethodSource("onFourBits")
  void adapterGivesPeftsLogitsOnPackedWeights(Variant variant) throws IOException {
    checkAlone(variant, TestOps.packed(), TOLERANCE);
  }

  @ParameterizedTest
  @MethodSource("variants")
  void adapterGivesPeftsLogitsOnTheServingKernels(Variant variant) throws IOException {
    checkAlone(variant, TestOps.served(), SERVED_TOLERANCE);
  }

  private static void checkAlone(Variant variant, Ops ops, double tolerance) throws IOException {
    try (Ops.ThreadBinding binding = ops.bindThread();
        TinyModel tiny = new TinyModel(MODELS.resolve(variant.base()), Quantization.NONE, ops)) {
      ModelSpec spec = tiny.model().spec();
      LoraSlots slots = new LoraSlots(tiny.lora(), spec.layers());
      slots.seat(2, slots.prepare(variant.load(spec)));
      for (GoldenLogits golden : variant.logits()) {
        int n = golden.ids().length;
        golden.assertClose(tiny.logits(golden.ids(), 2, n), tolerance, variant + " whole");
        golden.assertClose(
            tiny.logits(golden.ids(), 2, 2, n - 3, 1), tolerance, variant + " chunked");
      }
    }
  }

  /** One sequence of a step: a prompt in a loraSlot and the logits it must give. */
  private record Row(int slot, GoldenLogits golden, String what) {}

  @ParameterizedTest
  @ValueSource(strings = {"llama", "llama-untied"})
  void allAdaptersOfABaseInOneStepGiveTheLogitsEachGivesAlone(String base) throws IOException {
    Ops ops = TestOps.dense();
    List<Variant> variants = variants().stream().filter(v -> v.base().equals(base)).toList();
    assertTrue(variants.size() > 2, "too few adapters of " + base);
    try (Ops.ThreadBinding binding = ops.bindThread();
        BaseModelFiles files = BaseModelFiles.open(MODELS.resolve(base), Quantization.NONE)) {
      // Given: every adapter in a slot of its own, every prompt with each of them and with none
      CausalLm model = new WeightLoader(files, ops).load(new StepLimits(512, 64), layer -> {});
      List<Row> rows = new ArrayList<>();
      for (GoldenLogits golden : GoldenLogits.read(MODELS.resolve(base).resolve("logits.json"))) {
        rows.add(new Row(LoraTable.NO_LORA, golden, "base"));
      }
      try (LoraSlots slots =
          new LoraSlots(model.loraTable(variants.size()), model.spec().layers())) {
        for (int slot = 0; slot < variants.size(); slot++) {
          slots.seat(slot, slots.prepare(variants.get(slot).load(model.spec())));
          for (GoldenLogits golden : variants.get(slot).logits()) {
            rows.add(new Row(slot, golden, variants.get(slot).folder()));
          }
        }
        Collections.shuffle(rows, new Random(7));
        // When
        List<float[]> got = together(model, slots.table(), rows);
        // Then
        int at = 0;
        for (Row row : rows) {
          int n = row.golden().ids().length;
          row.golden().assertClose(got.subList(at, at + n), TOLERANCE, row.what() + " in a batch");
          at += n;
        }
        assertEquals(at, got.size());
      }
    }
  }

  /** The logits of all rows of all sequences, computed in one step. */
  private static List<float[]> together(CausalLm model, LoraTable lora, List<Row> rows) {
    int[] counts = rows.stream().mapToInt(row -> row.golden().ids().length).toArray();
    int[] first = new int[counts.length];
    int[][] tables = new int[counts.length][];
    int total = 0;
    int blocks = 0;
    for (int i = 0; i < counts.length; i++) {
      first[i] = total;
      total += counts[i];
      int wanted = (counts[i] + BLOCK - 1) / BLOCK;
      tables[i] = IntStream.range(blocks, blocks + wanted).toArray();
      blocks += wanted;
    }
    ForwardInputs inputs =
        new ForwardInputs(
            rows.stream().flatMapToInt(row -> Arrays.stream(row.golden().ids())).toArray(),
            Arrays.stream(counts).flatMap(n -> IntStream.range(0, n)).toArray(),
            rows.stream()
                .flatMapToInt(row -> Arrays.stream(row.golden().ids()).map(id -> row.slot()))
                .toArray(),
            first,
            counts,
            tables,
            BLOCK,
            IntStream.range(0, total).toArray());
    List<float[]> out = new ArrayList<>();
    int vocab = model.spec().vocab();
    try (KvPages pages = model.kvPages(BLOCK * blocks)) {
      model.forward(
          inputs,
          lora,
          pages,
          (from, count, logits) -> {
            for (int i = 0; i < count; i++) {
              out.add(Arrays.copyOfRange(logits, i * vocab, (i + 1) * vocab));
            }
          });
    }
    return out;
  }
}
