package io.chorale.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.lora.LoraSource;
import io.chorale.sched.FinishReason;
import io.chorale.sched.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

class EngineLoopTest {
  private static final int BASE = GenerationRequest.BASE;

  @Test
  void rowsOfAMixedBatchGetTheTokensTheyGetAlone() throws Exception {
    try (TinyEngine engine = new TinyEngine(200, 9, 64)) {
      // Given: base and eight adapters, ragged prompts, each alone
      List<List<Integer>> alone = new ArrayList<>();
      for (int i = 0; i < 9; i++) {
        alone.add(engine.alone(TinyEngine.prompt(i, 3 + 5 * i), i - 1, 12 + i));
      }
      assertNotEquals(alone.get(0), alone.get(1));
      // When: all at once; one more joins when the first has two tokens, one leaves then
      RecordingSink late = new RecordingSink();
      CountDownLatch joined = new CountDownLatch(1);
      List<RecordingSink> sinks = new ArrayList<>();
      CompletableFuture<List<GenerationHandle>> handles = new CompletableFuture<>();
      for (int i = 0; i < 9; i++) {
        int index = i;
        RecordingSink sink =
            new RecordingSink(
                count -> {
                  if (index == 0 && count == 2) {
                    handles.join().get(8).abort();
                    submitQuietly(engine, TinyEngine.greedy(TinyEngine.prompt(3, 18), 2, 15, late));
                    joined.countDown();
                  }
                });
        sinks.add(sink);
      }
      List<GenerationRequest> requests = new ArrayList<>();
      for (int i = 0; i < 9; i++) {
        requests.add(
            TinyEngine.greedy(TinyEngine.prompt(i, 3 + 5 * i), i - 1, 12 + i, sinks.get(i)));
      }
      handles.complete(engine.loop.submit(requests));
      joined.await();
      // Then
      for (int i = 0; i < 8; i++) {
        assertEquals(FinishReason.LENGTH, sinks.get(i).await());
        assertEquals(alone.get(i), sinks.get(i).tokens, "request " + i);
      }
      assertEquals(FinishReason.ABORT, sinks.get(8).await());
      late.await();
      assertEquals(alone.get(3), late.tokens);
      assertBlocksFree(engine);
    }
  }

  @Test
  void preemptedSequencesEndWithTheSameTokens() throws Exception {
    List<List<Integer>> alone = new ArrayList<>();
    List<RecordingSink> sinks = new ArrayList<>();
    try (TinyEngine roomy = new TinyEngine(200, 4, 64)) {
      for (int i = 0; i < 4; i++) {
        alone.add(roomy.alone(TinyEngine.prompt(i, 14), i - 1, 30));
      }
    }
    try (TinyEngine tight = new TinyEngine(26, 4, 64)) {
      // When: 4 x 44 positions want 44 blocks of 4, there are 26
      for (int i = 0; i < 4; i++) {
        sinks.add(new RecordingSink());
        tight.loop.submit(
            List.of(TinyEngine.greedy(TinyEngine.prompt(i, 14), i - 1, 30, sinks.get(i))));
      }
      // Then
      for (int i = 0; i < 4; i++) {
        assertEquals(FinishReason.LENGTH, sinks.get(i).await());
        assertEquals(alone.get(i), sinks.get(i).tokens, "request " + i);
      }
      assertBlocksFree(tight);
      assertTrue(tight.loop.stats().preemptions() > 0, "nothing was preempted");
    }
  }

  @Test
  void aSinkThatThrowsEndsOnlyItsOwnSequence() throws Exception {
    try (TinyEngine engine = new TinyEngine(100, 4, 64)) {
      List<Integer> alone = engine.alone(TinyEngine.prompt(1, 9), 1, 10);
      RecordingSink bad =
          new RecordingSink(
              count -> {
                throw new IllegalStateException("client code failed");
              });
      RecordingSink good = new RecordingSink();
      // When
      engine.loop.submit(
          List.of(
              TinyEngine.greedy(TinyEngine.prompt(2, 9), 0, 10, bad),
              TinyEngine.greedy(TinyEngine.prompt(1, 9), 1, 10, good)));
      // Then
      assertEquals(FinishReason.ABORT, bad.await());
      assertEquals(FinishReason.LENGTH, good.await());
      assertEquals(alone, good.tokens);
      assertBlocksFree(engine);
    }
  }

  @Test
  void anAdapterThatCannotBePreparedEndsItsSequencesAndTheEngineGoesOn() throws Exception {
    TinyEngine.SeededAdapters real = new TinyEngine.SeededAdapters();
    LoraSource source =
        key -> {
          if (key == 7) {
            throw new IllegalStateException("adapter 7 is gone");
          }
          return real.weights(key);
        };
    try (TinyEngine engine = new TinyEngine(100, 4, 64, source)) {
      // When
      RecordingSink bad = new RecordingSink();
      engine.loop.submit(List.of(TinyEngine.greedy(TinyEngine.prompt(2, 9), 7, 10, bad)));
      // Then
      assertEquals(FinishReason.ERROR, bad.await());
      assertTrue(bad.message.contains("adapter 7 is gone"), bad.message);
      assertEquals(10, engine.alone(TinyEngine.prompt(1, 9), 1, 10).size());
      assertTrue(engine.loop.stats().alive());
      assertBlocksFree(engine);
    }
  }

  @Test
  void aSequenceThatWaitsForItsAdapterHoldsUpNobodyAndEndsAsIfItHadNotWaited() throws Exception {
    TinyEngine.SeededAdapters real = new TinyEngine.SeededAdapters();
    CountDownLatch arrived = new CountDownLatch(1);
    LoraSource slow =
        key -> {
          try {
            arrived.await();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
          return real.weights(key);
        };
    List<Integer> alone;
    try (TinyEngine prompt = new TinyEngine(100, 1, 64)) {
      alone = prompt.alone(TinyEngine.prompt(2, 9), 3, 10);
    }
    try (TinyEngine engine = new TinyEngine(100, 1, 64, slow)) {
      RecordingSink waits = new RecordingSink();
      engine.loop.submit(List.of(TinyEngine.greedy(TinyEngine.prompt(2, 9), 3, 10, waits)));
      // When
      List<Integer> other = engine.alone(TinyEngine.prompt(1, 9), BASE, 10);
      // Then
      assertEquals(10, other.size());
      assertTrue(waits.tokens.isEmpty());
      arrived.countDown();
      assertEquals(FinishReason.LENGTH, waits.await());
      assertEquals(alone, waits.tokens);
      assertBlocksFree(engine);
    }
  }

  @Test
  void aFullQueueRefusesAllOfARequestOrTakesAllOfIt() throws Exception {
    try (TinyEngine engine = new TinyEngine(100, 4, 3)) {
      RecordingSink sink = new RecordingSink();
      GenerationRequest one = TinyEngine.greedy(TinyEngine.prompt(1, 5), BASE, 3, sink);
      // When
      EngineBusyException busy =
          assertThrows(
              EngineBusyException.class, () -> engine.loop.submit(List.of(one, one, one, one)));
      // Then
      assertTrue(busy.getMessage().contains("the queue holds 3"), busy.getMessage());
      engine.loop.submit(List.of(one));
      assertEquals(FinishReason.LENGTH, sink.await());
    }
  }

  @Test
  void aRetiredKeyGivesUpItsSlotAndItsCachedBlocks() throws Exception {
    try (TinyEngine engine = new TinyEngine(100, 2, 64)) {
      engine.alone(TinyEngine.prompt(1, 20), 1, 4);
      awaitStats(engine, stats -> stats.residentAdapterKeys().equals(List.of(1)));
      // When
      engine.loop.retire(1);
      engine.alone(TinyEngine.prompt(2, 2), BASE, 1);
      // Then
      awaitStats(engine, stats -> stats.residentAdapterKeys().isEmpty());
      assertEquals(0, engine.loop.stats().cachedBlocks());
    }
  }

  @Test
  void seededSamplingRepeatsAndLogprobsBelongToThePickedToken() throws Exception {
    try (TinyEngine engine = new TinyEngine(100, 2, 64)) {
      List<RecordingSink> sinks = new ArrayList<>();
      for (long seed : new long[] {5, 5, 6}) {
        RecordingSink sink = new RecordingSink();
        SamplingParams params =
            new SamplingParams(
                1.5, 0.95, 40, 0.01, 1.1, 0.2, 0.1, Map.of(3, -2f), seed, Set.of(), 20, 0, 3, true);
        engine.loop.submit(
            List.of(new GenerationRequest(TinyEngine.prompt(1, 9), BASE, params, sink)));
        sink.await();
        sinks.add(sink);
      }
      assertEquals(sinks.get(0).tokens, sinks.get(1).tokens);
      assertNotEquals(sinks.get(0).tokens, sinks.get(2).tokens);
      RecordingSink first = sinks.get(0);
      assertEquals(9, first.prompt.length);
      assertEquals(TinyEngine.prompt(1, 9)[4], first.prompt[4].tokenId());
      for (int i = 0; i < first.tokens.size(); i++) {
        TokenLogprobs logprobs = first.logprobs.get(i);
        assertEquals(first.tokens.get(i), logprobs.tokenId());
        assertEquals(3, logprobs.topIds().length);
        assertTrue(logprobs.logprob() <= logprobs.topLogprobs()[0]);
      }
    }
  }

  @Test
  void closingEndsRunningSequencesAndRefusesNewOnes() throws Exception {
    TinyEngine engine = new TinyEngine(100, 2, 64);
    RecordingSink sink = new RecordingSink();
    engine.loop.submit(List.of(TinyEngine.greedy(TinyEngine.prompt(1, 9), BASE, 150, sink)));
    engine.close();
    sink.await();
    assertThrows(
        IllegalStateException.class,
        () -> engine.loop.submit(List.of(TinyEngine.greedy(new int[] {1}, BASE, 1, sink))));
  }

  private static void submitQuietly(TinyEngine engine, GenerationRequest request) {
    try {
      engine.loop.submit(List.of(request));
    } catch (EngineBusyException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Snapshots are taken at step boundaries, a little after the sinks are told. */
  private static void awaitStats(TinyEngine engine, Predicate<EngineStats> wanted)
      throws InterruptedException {
    for (int i = 0; i < 500 && !wanted.test(engine.loop.stats()); i++) {
      Thread.sleep(10);
    }
    assertTrue(wanted.test(engine.loop.stats()), engine.loop.stats().toString());
  }

  private static void assertBlocksFree(TinyEngine engine) throws Exception {
    engine.alone(new int[] {1}, BASE, 1);
    awaitStats(engine, stats -> stats.usedBlocks() == 0);
    EngineStats stats = engine.loop.stats();
    assertEquals(stats.totalBlocks(), stats.freeBlocks() + stats.cachedBlocks());
  }
}
