package io.chorale.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.chorale.kernel.NativeLibrary;
import io.chorale.kernel.NativeOps;
import io.chorale.sched.FinishReason;
import io.chorale.sched.SamplingParams;
import io.chorale.sched.draft.DraftOptions;
import io.chorale.sched.draft.Drafting;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** What a step of decode rows leaves to the collector, counted by the JVM for the engine thread. */
class NoGarbageTest {
  private static final int SEQUENCES = 8;
  private static final int FROM = 40;
  private static final int TO = 168;

  /** One snapshot for whoever asks for statistics, now and then. */
  private static final int SNAPSHOT_BYTES = 4096;

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  /** Reads the engine thread's count at two tokens of its sequence; keeps nothing. */
  private static final class Meter implements TokenSink {
    final CompletableFuture<FinishReason> end = new CompletableFuture<>();
    private int tokens;
    private long bytes;
    private long nanos;

    @Override
    public void token(int tokenId, TokenLogprobs logprobs) {
      tokens++;
      if (tokens == FROM || tokens == TO) {
        long allocated = THREADS.getThreadAllocatedBytes(Thread.currentThread().getId());
        bytes = allocated - bytes;
        nanos = System.nanoTime() - nanos;
      }
    }

    @Override
    public void finished(FinishReason reason, TokenUsage usage, String message) {
      end.complete(reason);
    }
  }

  @Test
  void stepsOfDecodeRowsAllocateNothingButASnapshotNowAndThen() throws Exception {
    try (NativeOps ops = new NativeOps(NativeLibrary.chosen(), 1);
        TinyEngine engine =
            new TinyEngine(
                ops,
                400,
                4,
                new TinyEngine.SeededAdapters(),
                new EngineLoop.Options(64, 2000, new DraftOptions(8, 2), 100))) {
      meter(engine); // classes are loaded, buffers have grown
      // When
      Meter meter = meter(engine);
      // Then
      long snapshots = 1 + meter.nanos / EngineLoop.SNAPSHOT_NANOS;
      assertTrue(
          meter.bytes <= snapshots * SNAPSHOT_BYTES,
          "%d bytes in %d steps, %d snapshots".formatted(meter.bytes, TO - FROM, snapshots));
    }
  }

  private static Meter meter(TinyEngine engine) throws Exception {
    List<GenerationRequest> requests = new ArrayList<>();
    List<Meter> meters = new ArrayList<>();
    for (int i = 0; i < SEQUENCES; i++) {
      Meter meter = new Meter();
      meters.add(meter);
      // Greedy and sampled, with every penalty, base and adapters
      SamplingParams params =
          new SamplingParams(
              i % 2, 0.9, 20, 0.01, 1.1, 0.2, 0.1, Map.of(), i, Set.of(999), 180, 0, -1, false);
      requests.add(
          new GenerationRequest(TinyEngine.prompt(i, 4), i % 4 - 1, params, Drafting.NEVER, meter));
    }
    engine.loop.submit(requests);
    for (Meter meter : meters) {
      assertEquals(FinishReason.LENGTH, meter.end.get());
    }
    return meters.get(0);
  }
}
