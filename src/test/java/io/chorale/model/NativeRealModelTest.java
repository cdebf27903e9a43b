package io.chorale.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.RealModel;
import io.chorale.RealModelFile;
import io.chorale.kernel.ForwardInputs;
import io.chorale.kernel.KvPages;
import io.chorale.kernel.LoraTable;
import io.chorale.kernel.NativeLibrary;
import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.kernel.NativeOps;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What int8 inputs and half-precision pages cost on the real model: transformers' own greedy
 * continuations (golden/real-model), scored token by token by {@link NativeOps}.
 */
@RealModel
@ParameterizedClass(allowZeroInvocations = true)
@MethodSource("sets")
class NativeRealModelTest {
  private static final Path GOLDEN = TinyModel.GOLDEN.resolve("real-model");
  private static final int BLOCK = 16;
  private static final int BLOCKS = 64;

  private final InstructionSet set;

  NativeRealModelTest(InstructionSet set) {
    this.set = set;
  }

  /** The scalar path takes half a minute here and differs from the others by roundings only. */
  static List<InstructionSet> sets() {
    List<InstructionSet> all = NativeLibrary.supported();
    return all.size() > 1 ? all.subList(1, all.size()) : all;
  }

  /** One position of a continuation. */
  private record Scored(boolean picksTheSame, double gap, double logprob, double wanted) {}

  @Test
  void transformersPicksStayTheFavouritesAndJustAsLikely() throws IOException {
    // Given
    ObjectMapper mapper = new ObjectMapper();
    JsonNode prompts = mapper.readTree(GOLDEN.resolve("prompts.json").toFile());
    JsonNode cases = mapper.readTree(GOLDEN.resolve("base.json").toFile()).get("cases");
    List<Scored> scored = new ArrayList<>();
    // When
    try (NativeOps ops = new NativeOps(set, 2);
        BaseModelFiles files = BaseModelFiles.open(RealModelFile.path(), Quantization.NONE)) {
      CausalLm model = new WeightLoader(files, ops).load(new StepLimits(1024, 16), layer -> {});
      for (int i = 0; i < cases.size(); i++) {
        int[] prompt = mapper.convertValue(prompts.get(i).get("ids"), int[].class);
        scored.addAll(score(model, prompt, cases.get(i)));
      }
    }
    // Then
    long same = scored.stream().filter(Scored::picksTheSame).count();
    double widest =
        scored.stream().filter(s -> !s.picksTheSame()).mapToDouble(Scored::gap).max().orElse(0);
    double drift = scored.stream().mapToDouble(s -> s.wanted() - s.logprob()).average().orElse(9);
    assertTrue(same >= 0.97 * scored.size(), same + " of " + scored.size() + " picks agree");
    assertTrue(widest < 0.5, "a pick with a lead of " + widest + " was lost");
    assertEquals(0, drift, 0.01, "mean loss of log probability");
  }

  private static List<Scored> score(CausalLm model, int[] prompt, JsonNode expected) {
    JsonNode output = expected.get("outputIds");
    int n = prompt.length + output.size() - 1;
    int[] ids =
        IntStream.range(0, n)
            .map(i -> i < prompt.length ? prompt[i] : output.get(i - prompt.length).asInt())
            .toArray();
    List<Scored> scored = new ArrayList<>();
    try (KvPages pages = model.kvPages(BLOCK * BLOCKS);
        LoraTable lora = model.loraTable(1)) {
      model.forward(
          inputs(ids, prompt.length - 1),
          lora,
          pages,
          (first, rows, logits) -> {
            for (int i = 0; i < rows; i++) {
              scored.add(scored(logits, i * model.spec().vocab(), model, expected, first + i));
            }
          });
    }
    return scored;
  }

  private static Scored scored(
      float[] logits, int offset, CausalLm model, JsonNode expected, int position) {
    int vocab = model.spec().vocab();
    int best = 0;
    for (int id = 1; id < vocab; id++) {
      best = logits[offset + id] > logits[offset + best] ? id : best;
    }
    double sum = 0;
    for (int id = 0; id < vocab; id++) {
      sum += Math.exp(logits[offset + id] - logits[offset + best]);
    }
    int pick = expected.get("outputIds").get(position).asInt();
    double logprob = logits[offset + pick] - logits[offset + best] - Math.log(sum);
    return new Scored(
        best == pick,
        expected.get("topTwoGap").get(position).asDouble(),
        logprob,
        expected.get("logprob").get(position).asDouble());
  }

  private static ForwardInputs inputs(int[] ids, int firstLogit) {
    int n = ids.length;
    return new ForwardInputs(
        ids,
        IntStream.range(0, n).toArray(),
        IntStream.range(0, n).map(i -> LoraTable.NO_LORA).toArray(),
        new int[] {0},
        new int[] {n},
        new int[][] {IntStream.range(0, BLOCKS).toArray()},
        BLOCK,
        IntStream.range(firstLogit, n).toArray());
  }
}
