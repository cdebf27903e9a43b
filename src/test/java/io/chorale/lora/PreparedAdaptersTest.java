package io.chorale.lora;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.format.TensorData;
import io.chorale.kernel.NativeLibrary;
import io.chorale.kernel.NativeOps;
import io.chorale.kernel.Weight;
import io.chorale.quant.GgmlMatrix;
import io.chorale.quant.TensorType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The test's thread stands in for the engine's. Adapters have rank key + 1 on one module. */
class PreparedAdaptersTest {
  private static final int WIDTH = 64;
  private static final long RANK_BYTES = 2 * 2 * WIDTH; // halves of A and B

  private final NativeOps ops = new NativeOps(NativeLibrary.chosen(), 1);
  private final Weight base =
      ops.weight(new GgmlMatrix(TensorType.F32, WIDTH, WIDTH, zeros(WIDTH * WIDTH)));
  private final Semaphore news = new Semaphore(0);
  private final List<Integer> read = Collections.synchronizedList(new ArrayList<>());
  private PreparedAdapters adapters;

  @AfterEach
  void close() {
    adapters.close();
    ops.close();
  }

  @Test
  void whatASlotGivesUpIsSeatedAgainWithoutBeingReadAgain() throws Exception {
    adapters = adapters(1, 1000 * RANK_BYTES);
    ready(0);
    adapters.seat(0, 0);
    adapters.leave(0);
    ready(1);
    adapters.seat(0, 1);
    // When
    adapters.use(0);
    // Then
    assertTrue(adapters.isReady(0));
    adapters.seat(0, 0);
    assertEquals(List.of(0, 1), read);
    assertEquals(3 * RANK_BYTES, adapters.bytes());
  }

  @Test
  void beyondTheCachesBytesTheLeastRecentlyUsedGoesFirst() throws Exception {
    adapters = adapters(1, 3 * RANK_BYTES);
    for (int key : new int[] {0, 1, 2}) {
      ready(key);
      adapters.seat(0, key);
      adapters.leave(key);
    }
    // When: 0 went when 2, of rank 3, waited beside it; now 1 goes for 3, and 2 gives up the slot
    assertEquals((3 + 2) * RANK_BYTES, adapters.bytes());
    ready(3);
    adapters.seat(0, 3);
    // Then
    assertEquals((4 + 3) * RANK_BYTES, adapters.bytes());
    adapters.use(1);
    assertFalse(adapters.isReady(1));
    adapters.use(2);
    assertTrue(adapters.isReady(2));
  }

  @Test
  void anAdapterThatASequenceUsesIsKeptWhateverTheCacheMayHold() throws Exception {
    adapters = adapters(1, 0);
    ready(0);
    adapters.seat(0, 0);
    // When: a second one takes the slot while the first one's sequence was sent back to wait
    ready(1);
    adapters.seat(0, 1);
    // Then
    assertTrue(adapters.isReady(0));
    adapters.leave(0);
    assertEquals(2 * RANK_BYTES, adapters.bytes());
  }

  @Test
  void aRetiredAdapterFreesItsBytesSeatedOrNot() throws Exception {
    adapters = adapters(2, 1000 * RANK_BYTES);
    for (int key : new int[] {0, 1}) {
      ready(key);
      adapters.seat(key, key);
      adapters.leave(key);
    }
    adapters.clear(1);
    assertEquals(3 * RANK_BYTES, adapters.bytes());
    // When
    adapters.retire(0);
    adapters.retire(1);
    // Then
    assertEquals(0, adapters.bytes());
  }

  @Test
  void anAdapterRetiredWhileItIsPreparedLeavesNothing() throws Exception {
    adapters = adapters(1, 1000 * RANK_BYTES);
    adapters.use(5);
    adapters.leave(5);
    adapters.retire(5);
    // When
    news.acquire();
    // Then
    assertNull(adapters.takeNews());
    assertEquals(0, adapters.bytes());
    assertFalse(adapters.isBusy());
  }

  @Test
  void aModuleThatDoesNotFitIsNamedAndTheNextAdapterIsPrepared() throws Exception {
    adapters = adapters(1, 1000 * RANK_BYTES);
    adapters.use(99);
    adapters.use(0);
    news.acquire();
    // When
    PreparedAdapters.Failure failure = adapters.takeNews();
    // Then
    assertEquals(99, failure.adapterKey());
    assertEquals(
        "adapter 'a99@1': layers.0.self_attn.q_proj: lora_A elements: had 64, wanted 6400",
        failure.message());
    news.acquire();
    assertNull(adapters.takeNews());
    assertTrue(adapters.isReady(0));
  }

  @Test
  void noMoreIsPreparedThanMayWaitForASlot() throws Exception {
    adapters = adapters(1, RANK_BYTES);
    ready(1); // more than the cache holds, but one may always wait
    adapters.use(2);
    assertFalse(adapters.isBusy());
    // When
    adapters.seat(0, 1);
    // Then
    assertTrue(adapters.isBusy());
    news.acquire();
    assertNull(adapters.takeNews());
    assertTrue(adapters.isReady(2));
  }

  private PreparedAdapters adapters(int slots, long cacheBytes) {
    var made =
        new PreparedAdapters(
            new LoraSlots(ops.loraTable(slots, new Weight[] {base}, -1), 1),
            this::weights,
            ops::bindThread,
            cacheBytes);
    made.wakeBy(news::release);
    return made;
  }

  private void ready(int key) throws InterruptedException {
    adapters.use(key);
    news.acquire();
    assertNull(adapters.takeNews());
    assertTrue(adapters.isReady(key));
  }

  private LoraWeights weights(int key) {
    read.add(key);
    int rank = key + 1;
    TensorData a = tensor(key == 99 ? 1 : rank, WIDTH);
    LoraModule module = new LoraModule(rank, 1, a, tensor(WIDTH, rank), null, null, null);
    ModuleId q = new ModuleId(0, LoraTarget.Q_PROJ);
    return new LoraWeights("a" + key + "@1", Map.of(q, module), 0);
  }

  private static TensorData tensor(int rows, int cols) {
    return new TensorData("t", TensorType.F32, new long[] {rows, cols}, zeros(rows * cols));
  }

  private static ByteBuffer zeros(int count) {
    return ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
  }
}
