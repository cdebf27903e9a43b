package io.chorale.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.sched.SamplingParams;
import io.chorale.sched.Sequence;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.stream.StreamSupport;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The distribution that is drawn from is the one that transformers' logits processors leave. Draws
 * at the middles of equal parts of [0, 1) give each token its share of them to within one.
 */
class SamplerGoldenTest {
  private static final Path FOLDER = Path.of("src/test/resources/golden/sampling");
  private static final int VOCAB = 4096;
  private static final int DRAWS = 5000;

  /** Goes through [0, 1) in equal steps. */
  private static final class Grid implements RandomGenerator {
    private int drawn;

    @Override
    public double nextDouble() {
      return (drawn++ + 0.5) / DRAWS;
    }

    @Override
    public long nextLong() {
      throw new AssertionError("a draw takes one double");
    }
  }

  static List<JsonNode> cases() throws IOException {
    JsonNode all = new ObjectMapper().readTree(unpacked("cases.json.gz"));
    return StreamSupport.stream(all.spliterator(), false).toList();
  }

  private static byte[] unpacked(String name) throws IOException {
    try (InputStream in = new GZIPInputStream(Files.newInputStream(FOLDER.resolve(name)))) {
      return in.readAllBytes();
    }
  }

  private static float[] rows() throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(unpacked("rows.f32.gz")).order(ByteOrder.LITTLE_ENDIAN);
    float[] rows = new float[bytes.remaining() / 4];
    bytes.asFloatBuffer().get(rows);
    return rows;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void everyTokenIsDrawnAsOftenAsTheReferenceSays(JsonNode golden) throws IOException {
    // Given
    float[] rows = rows();
    Sequence sequence = sequence(golden);
    Sampler sampler = new Sampler(VOCAB);
    Grid grid = new Grid();
    int[] counts = new int[VOCAB];
    // When
    for (int i = 0; i < DRAWS; i++) {
      int offset = golden.get("row").asInt() * VOCAB;
      counts[sampler.sample(sequence, sequence.length(), rows, offset, grid)]++;
    }
    // Then
    double[] wanted = new double[VOCAB];
    for (int i = 0; i < golden.get("ids").size(); i++) {
      int id = golden.get("ids").get(i).asInt();
      wanted[id] = golden.get("probabilities").get(i).asDouble() * DRAWS;
    }
    int drawn = 0;
    for (int id = 0; id < VOCAB; id++) {
      assertEquals(wanted[id], counts[id], 1.01, "token " + id);
      drawn += counts[id] > 0 ? 1 : 0;
    }
    assertTrue(drawn <= golden.get("keptTokens").asInt(), drawn + " different tokens");
  }

  private static Sequence sequence(JsonNode golden) {
    int[] seen = new ObjectMapper().convertValue(golden.get("seen"), int[].class);
    SamplingParams params =
        new SamplingParams(
            golden.get("temperature").asDouble(),
            golden.path("top_p").asDouble(1),
            golden.path("top_k").asInt(0),
            golden.path("min_p").asDouble(0),
            golden.path("repetition_penalty").asDouble(1),
            0,
            0,
            Map.of(),
            0,
            Set.of(),
            10,
            0,
            -1,
            false);
    return new Sequence(1, seen, -1, params);
  }
}
