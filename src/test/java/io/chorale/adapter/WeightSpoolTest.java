package io.chorale.adapter;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.chorale.format.TensorData;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.LoraWeights;
import io.chorale.lora.ModuleId;
import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WeightSpoolTest {
  private static final ModuleId Q = new ModuleId(1, LoraTarget.Q_PROJ);
  private static final ModuleId HEAD = ModuleId.of(LoraTarget.LM_HEAD);

  @TempDir Path folder;
  private WeightSpool spool;

  @BeforeEach
  void open() {
    spool = new WeightSpool(folder);
  }

  private static TensorData tensor(TensorType type, int fill, long... shape) {
    int bytes = (int) (shape[0] * (shape.length > 1 ? shape[1] : 1)) * type.blockBytes();
    ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining()) {
      buffer.put((byte) fill);
    }
    return new TensorData("t" + fill, type, shape, buffer.flip());
  }

  private static LoraWeights weights(int fill, int width) {
    LoraModule low =
        new LoraModule(
            3,
            0.5f,
            tensor(TensorType.F16, fill, 3, width),
            tensor(TensorType.F32, fill + 1, width, 3),
            null,
            tensor(TensorType.BF16, fill + 2, width),
            null);
    LoraModule whole =
        new LoraModule(0, 1, null, null, null, null, tensor(TensorType.F32, fill + 3, 2, width));
    return new LoraWeights("a@" + fill, Map.of(Q, low, HEAD, whole), 123);
  }

  private static void assertSame(LoraWeights wanted, LoraWeights got) {
    assertEquals(wanted.label(), got.label());
    assertEquals(wanted.bytes(), got.bytes());
    assertEquals(wanted.modules().keySet(), got.modules().keySet());
    LoraModule low = got.modules().get(Q);
    assertEquals(3, low.rank());
    assertEquals(0.5f, low.scaling());
    assertNull(low.bias());
    assertNull(low.replacement());
    assertSame(wanted.modules().get(Q).a(), low.a());
    assertSame(wanted.modules().get(Q).b(), low.b());
    assertSame(wanted.modules().get(Q).magnitude(), low.magnitude());
    LoraModule head = wanted.modules().get(HEAD);
    assertSame(head.replacement(), got.modules().get(HEAD).replacement());
  }

  private static void assertSame(TensorData wanted, TensorData got) {
    assertEquals(wanted.name(), got.name());
    assertEquals(wanted.type(), got.type());
    assertArrayEquals(wanted.shape(), got.shape());
    assertEquals(wanted.bytes(), got.bytes());
    assertEquals(wanted.bytes().order(), got.bytes().order());
  }

  @Test
  void weightsComeBackAsTheyWereAndTheFileHasNoName() throws IOException {
    // When
    WeightSpool.Stored first = spool.store(weights(10, 40));
    WeightSpool.Stored second = spool.store(weights(20, 7));
    // Then
    assertSame(weights(10, 40), first.read());
    assertSame(weights(20, 7), second.read());
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(0, files.count());
    }
  }

  @Test
  void freedWeightsCannotBeRead() {
    WeightSpool.Stored stored = spool.store(weights(10, 40));
    stored.free();
    stored.free();
    assertThrows(IllegalStateException.class, stored::read);
  }

  @Test
  void placesUsedAgainNeverOverlapThoseInUse() {
    Random random = new Random(5);
    Map<WeightSpool.Stored, LoraWeights> kept = new HashMap<>();
    for (int i = 0; i < 300; i++) {
      // When
      if (random.nextInt(3) > 0 || kept.isEmpty()) {
        LoraWeights weights = weights(random.nextInt(100), 1 + random.nextInt(60));
        kept.put(spool.store(weights), weights);
      } else {
        WeightSpool.Stored one = kept.keySet().iterator().next();
        kept.remove(one);
        one.free();
      }
      // Then
      kept.forEach((stored, weights) -> assertSame(weights, stored.read()));
    }
  }
}
