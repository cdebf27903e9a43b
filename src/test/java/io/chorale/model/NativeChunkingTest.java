package io.chorale.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.chorale.kernel.LoraTable;
import io.chorale.kernel.NativeLibrary;
import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.kernel.NativeOps;
import io.chorale.kernel.Precision;
import io.chorale.kernel.Precision.KvCache;
import io.chorale.kernel.Precision.Nf4;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** A whole model's logits have the same bits however the prompt is cut into steps. */
@ParameterizedClass(allowZeroInvocations = true)
@MethodSource("sets")
class NativeChunkingTest {
  private final InstructionSet set;
  private final Precision precision;

  NativeChunkingTest(InstructionSet set, Precision precision) {
    this.set = set;
    this.precision = precision;
  }

  static Stream<Arguments> sets() {
    return NativeLibrary.supported().stream()
        .flatMap(
            set ->
                Stream.of(Precision.DEFAULT, new Precision(KvCache.Q8, Nf4.FAST))
                    .map(precision -> Arguments.of(set, precision)));
  }

  @ParameterizedTest
  @CsvSource({
    "gguf/llama-q4_1.gguf",
    "gguf/mistral-q4_0.gguf",
    "gguf/qwen2-q8_0.gguf",
    "llama-nf4"
  })
  void logitsHaveTheSameBitsUnderAnyChunkingAndThreadCount(String name) throws IOException {
    // Given
    Path files = TinyModel.GOLDEN.resolve("models").resolve(name);
    int[] ids = new Random(3).ints(61, 0, 200).toArray();
    List<float[]> whole = logits(files, 1, ids, ids.length);
    for (int threads = 1; threads <= 3; threads++) {
      // When
      List<float[]> chunked = logits(files, threads, ids, 1, 30, 1, 1, 17, 9, 1, 1);
      // Then
      for (int position = 0; position < ids.length; position++) {
        assertArrayEquals(whole.get(position), chunked.get(position), "position " + position);
      }
    }
  }

  private List<float[]> logits(Path files, int threads, int[] ids, int... chunks)
      throws IOException {
    try (NativeOps ops = new NativeOps(set, threads, precision);
        TinyModel tiny = new TinyModel(files, Quantization.NONE, ops)) {
      return tiny.logits(ids, LoraTable.NO_LORA, chunks);
    }
  }
}
