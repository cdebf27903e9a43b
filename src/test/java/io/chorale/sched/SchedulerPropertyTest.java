package io.chorale.sched;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.sched.draft.DraftOptions;
import io.chorale.sched.draft.Drafting;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Thousands of random workloads, each decided by its seed alone, against {@link FakeModel}. */
class SchedulerPropertyTest {
  private static final int SEEDS = 2000;
  private static final int STOP = 0;
  private static final int STEPS = 60;
  private static final int STEPS_TO_DRAIN = 20_000;

  @Test
  void everyRowFindsTheKvOfItsOwnPrefixAndEverySequenceEndsAsIfItRanAlone() {
    long preempted = 0;
    long cached = 0;
    long failed = 0;
    long retired = 0;
    long drafted = 0;
    long accepted = 0;
    for (int seed = 0; seed < SEEDS; seed++) {
      // Given
      Workload workload = new Workload(seed);
      // When
      try {
        workload.run();
      } catch (RuntimeException | AssertionError broken) {
        throw new AssertionError("seed " + seed + " " + workload.options, broken);
      }
      // Then
      String which = "seed " + seed + " " + workload.options;
      workload.sequences.forEach(sequence -> workload.assertEndedAsIfAlone(sequence, which));
      assertEquals(0, workload.scheduler.blocks().used(), which);
      assertFalse(workload.scheduler.hasWork(), which);
      preempted += workload.scheduler.preemptions();
      cached += workload.sequences.stream().mapToLong(Sequence::cachedTokens).sum();
      failed += workload.failedBatches;
      retired += workload.retired;
      drafted += workload.drafted;
      accepted += workload.accepted;
    }
    assertTrue(preempted > SEEDS, "workloads preempt too rarely to prove anything: " + preempted);
    assertTrue(cached > SEEDS, "workloads hit the prefix cache too rarely: " + cached);
    assertTrue(failed > SEEDS, "workloads fail too rarely: " + failed);
    assertTrue(retired > SEEDS, "workloads retire adapters too rarely: " + retired);
    assertTrue(accepted > SEEDS, "drafts are accepted too rarely: " + accepted);
    assertTrue(drafted > accepted + SEEDS, "drafts are wrong too rarely: " + drafted);
  }

  /** One random run: options, sequences with shared prefixes, and what happens to them. */
  private static final class Workload {
    final SplittableRandom random;
    final SchedulerOptions options;
    final int vocabulary; // small ones repeat themselves, so that drafts are right
    final Scheduler scheduler;
    final FakeModel model;
    final List<Sequence> sequences = new ArrayList<>();
    final List<int[]> prompts = new ArrayList<>();
    final int[] adapters = {0, 1, 2, 3};
    int nextAdapter = adapters.length;
    int failedBatches;
    int retired;
    int drafted;
    int accepted;

    Workload(int seed) {
      random = new SplittableRandom(seed);
      int maxRunning = random.nextInt(1, 8);
      options =
          new SchedulerOptions(
              maxRunning + random.nextInt(12),
              maxRunning,
              random.nextInt(1, 5),
              random.nextInt(3, 40),
              random.nextInt(4),
              random.nextInt(8, 60),
              random.nextInt(1, 9),
              random.nextInt(4) > 0);
      vocabulary = random.nextBoolean() ? 7 : 2;
      DraftOptions drafting = new DraftOptions(random.nextInt(5), random.nextInt(1, 4));
      scheduler = new Scheduler(options, drafting, random.nextInt(2) * 10, key -> true);
      model = new FakeModel(options, vocabulary);
      prompts.add(random.ints(options.maxSequenceTokens(), 0, vocabulary).toArray());
      prompts.add(random.ints(options.maxSequenceTokens(), 0, vocabulary).toArray());
    }

    void run() {
      for (int i = 0; i < STEPS; i++) {
        disturb();
        step(random.nextInt(40) == 0);
      }
      for (int i = 0; scheduler.hasWork(); i++) {
        assertTrue(i < STEPS_TO_DRAIN, "some sequence starves");
        step(false);
      }
    }

    private void disturb() {
      if (random.nextInt(2) == 0) {
        addOne();
      }
      if (random.nextInt(25) == 0 && !sequences.isEmpty()) {
        scheduler.abort(sequences.get(random.nextInt(sequences.size())), FinishReason.ABORT);
        scheduler.checkIntegrity();
      }
      if (random.nextInt(10) == 0) {
        retireOne();
        scheduler.checkIntegrity();
      }
    }

    private void addOne() {
      int longest = options.maxSequenceTokens() - 1;
      if (longest < 1) {
        return;
      }
      int[] prompt =
          Arrays.copyOf(
              prompts.get(random.nextInt(prompts.size())), random.nextInt(1, longest + 1));
      if (random.nextInt(3) == 0) {
        prompt[random.nextInt(prompt.length)] = random.nextInt(vocabulary);
        prompts.add(Arrays.copyOf(prompt, longest));
      }
      boolean adapter = options.maxLoras() > 0 && random.nextInt(4) > 0;
      int adapterKey = adapter ? adapters[random.nextInt(adapters.length)] : -1;
      Sequence sequence = new Sequence(sequences.size(), prompt, adapterKey, params(), drafting());
      scheduler.add(sequence);
      sequences.add(sequence);
    }

    private Drafting drafting() {
      return Drafting.values()[random.nextInt(Drafting.values().length)];
    }

    private SamplingParams params() {
      Set<Integer> stops = random.nextInt(3) == 0 ? Set.of(STOP) : Set.of();
      int maxTokens = random.nextInt(1, 30);
      boolean promptLogprobs = random.nextInt(8) == 0;
      return new SamplingParams(
          0, 1, 0, 0, 1, 0, 0, Map.of(), 0, stops, maxTokens, 0, -1, promptLogprobs);
    }

    private void retireOne() {
      int which = random.nextInt(adapters.length);
      boolean needed =
          scheduler.runningAdapterKeys().contains(adapters[which])
              || scheduler.waitingAdapterKeys().contains(adapters[which]);
      if (!needed) {
        scheduler.retireAdapter(adapters[which]);
        assertFalse(scheduler.residentAdapterKeys().contains(adapters[which]));
        adapters[which] = nextAdapter++;
        retired++;
      }
    }

    private void step(boolean fails) {
      ScheduledBatch batch = scheduler.schedule();
      assertEquals(scheduler.hasWork(), !batch.isEmpty(), "a step does nothing though work waits");
      scheduler.checkIntegrity();
      assertWithinLimits(batch);
      if (batch.isEmpty()) {
        return;
      }
      if (fails) {
        model.runAndBreak(batch);
        scheduler.failBatch(batch);
        failedBatches++;
      } else {
        int[] sampled = model.run(batch);
        drafted += batch.rows().stream().mapToInt(ScheduledRows::drafts).sum();
        accepted +=
            (int) IntStream.of(sampled).filter(token -> token >= 0).count()
                - (int) batch.rows().stream().filter(ScheduledRows::samples).count();
        if (random.nextInt(50) == 0) { // a sink threw while the step ran
          scheduler.abort(batch.rows().get(0).sequence(), FinishReason.ABORT);
        }
        scheduler.commit(batch, sampled);
        scheduler.took(batch, 1000 + random.nextInt(1000) + 100L * batch.totalRows());
      }
      scheduler.checkIntegrity();
    }

    private void assertWithinLimits(ScheduledBatch batch) {
      int total = 0;
      boolean prefillSeen = false;
      for (ScheduledRows rows : batch.rows()) {
        total += rows.count();
        int own = rows.count() - rows.drafts();
        assertTrue(own >= 1 && own <= options.prefillChunkTokens());
        assertEquals(rows.sequence().computedTokens(), rows.start());
        assertEquals(rows.start() + own == rows.sequence().length(), rows.samples());
        assertTrue(rows.drafts() == 0 || own == 1 && rows.sequence().generatedTokens() > 0);
        prefillSeen |= own > 1;
        assertFalse(prefillSeen && decodes(rows), "a decode row comes after a prefill chunk");
      }
      assertEquals(batch.totalRows(), total);
      assertTrue(total <= options.maxBatchTokens());
      assertTrue(scheduler.running() <= options.maxRunning());
      var blocks = scheduler.blocks();
      assertEquals(blocks.total(), blocks.free() + blocks.cached() + blocks.used());
    }

    private static boolean decodes(ScheduledRows rows) {
      return rows.sequence().generatedTokens() > 0 && rows.sequence().preemptions() == 0;
    }

    void assertEndedAsIfAlone(Sequence sequence, String which) {
      assertEquals(SequenceState.FINISHED, sequence.state(), which);
      int[] prompt = Arrays.copyOf(sequence.tokens(), sequence.promptTokens());
      int[] alone =
          model.alone(
              prompt, sequence.adapterKey(), sequence.params(), options.maxSequenceTokens());
      switch (sequence.finishReason()) {
        case STOP -> {
          assertArrayEquals(alone, sequence.tokens(), which);
          assertEquals(STOP, alone[alone.length - 1], which);
        }
        case LENGTH -> {
          assertArrayEquals(alone, sequence.tokens(), which);
          assertFalse(sequence.params().stopTokenIds().contains(alone[alone.length - 1]), which);
        }
        case ABORT, ERROR ->
            assertArrayEquals(Arrays.copyOf(alone, sequence.length()), sequence.tokens(), which);
      }
      if (sequence.params().promptLogprobs() || !options.prefixCache()) {
        assertEquals(0, sequence.cachedTokens(), which);
      }
      assertTrue(sequence.cachedTokens() < sequence.promptTokens(), which);
    }
  }
}
