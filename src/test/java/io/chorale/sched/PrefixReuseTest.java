package io.chorale.sched;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What a sequence finds in the prefix cache, seen through {@link Scheduler}; blocks of 4. */
class PrefixReuseTest {
  private final Scheduler scheduler = new Scheduler(Sequences.options(20));

  @Test
  void secondPromptStartsAfterTheFullBlocksThatItSharesWithTheFirst() {
    // Given
    run(Sequences.base(0, 10, 1));
    int[] prompt = Sequences.prompt(0, 12);
    prompt[9] = 99;
    Sequence second = Sequences.of(-1, prompt, SamplingParams.greedy(1, Set.of()));
    scheduler.add(second);
    // When
    ScheduledBatch batch = scheduler.schedule();
    // Then
    assertEquals(8, second.cachedTokens());
    assertEquals(8, batch.rows().get(0).start());
    assertEquals(4, batch.rows().get(0).count());
  }

  @Test
  void wholePromptInTheCacheStillComputesItsLastToken() {
    // Given
    run(Sequences.base(0, 8, 1));
    Sequence same = Sequences.base(0, 8, 1);
    // When
    run(same);
    // Then
    assertEquals(4, same.cachedTokens());
  }

  @Test
  void generatedTokensAreReusedByAFollowUpPrompt() {
    // Given
    Sequence first = Sequences.base(0, 6, 3);
    run(first);
    int[] chat = Arrays.copyOf(first.tokens(), 12);
    Sequence followUp = Sequences.of(-1, chat, SamplingParams.greedy(1, Set.of()));
    // When
    run(followUp);
    // Then
    assertEquals(8, followUp.cachedTokens());
  }

  @Test
  void samePromptUnderAnotherAdapterFindsNothing() {
    // Given
    run(Sequences.base(0, 10, 1));
    run(Sequences.adapted(3, 0, 10, 1));
    Sequence other = Sequences.adapted(4, 0, 10, 1);
    Sequence same = Sequences.adapted(3, 0, 10, 1);
    // When
    run(other);
    run(same);
    // Then
    assertEquals(0, other.cachedTokens());
    assertEquals(8, same.cachedTokens());
  }

  @Test
  void equalBlockAfterAnotherPrefixIsNotAHit() {
    // Given
    run(Sequences.base(0, 9, 1));
    int[] prompt = Sequences.prompt(0, 9);
    prompt[0] = 99; // positions 4..7 are the same tokens
    Sequence other = Sequences.of(-1, prompt, SamplingParams.greedy(1, Set.of()));
    // When
    run(other);
    // Then
    assertEquals(0, other.cachedTokens());
  }

  @Test
  void promptLogprobsComputeTheWholePrompt() {
    // Given
    run(Sequences.base(0, 10, 1));
    Sequence echo = Sequences.withPromptLogprobs(0, 10);
    // When
    run(echo);
    // Then
    assertEquals(0, echo.cachedTokens());
  }

  @Test
  void sequencesThatComputedTheSameBlocksEndUpSharingThem() {
    // Given
    scheduler.add(Sequences.base(0, 8, 5));
    scheduler.add(Sequences.base(0, 8, 5));
    // When
    ScheduledBatch batch = scheduler.schedule();
    int usedBefore = scheduler.blocks().used();
    Sequences.commit(scheduler, batch, 7);
    // Then
    assertEquals(4, usedBefore);
    assertEquals(2, scheduler.blocks().used());
    scheduler.checkIntegrity();
  }

  @Test
  void preemptedSequenceFindsItsOwnBlocksButCountsThemOnlyAtFirst() {
    // Given
    var small = new Scheduler(Sequences.options(6));
    Sequence oldest = Sequences.base(0, 8, 5);
    Sequence youngest = Sequences.base(100, 11, 5);
    small.add(oldest);
    small.add(youngest);
    while (youngest.preemptions() == 0) {
      Sequences.step(small, 7);
    }
    // When
    ScheduledRows resumed = null;
    while (resumed == null || resumed.sequence() != youngest) {
      resumed = Sequences.step(small, 7).rows().get(0);
    }
    // Then
    assertEquals(12, resumed.start());
    assertEquals(0, youngest.cachedTokens());
  }

  @Test
  void leastRecentlyUsedPrefixGivesItsBlocksUpFirst() {
    // Given
    var small = new Scheduler(Sequences.options(5));
    for (int first : new int[] {0, 100, 0}) { // the prompt from 0 is used last
      small.add(Sequences.base(first, 8, 1));
      Sequences.drain(small);
    }
    // When
    small.add(Sequences.base(200, 12, 1)); // needs three, one is free
    Sequences.drain(small);
    Sequence recent = Sequences.base(0, 9, 1);
    Sequence old = Sequences.base(100, 9, 1);
    small.add(recent);
    Sequences.drain(small);
    small.add(old);
    Sequences.drain(small);
    // Then
    assertEquals(8, recent.cachedTokens());
    assertEquals(0, old.cachedTokens());
  }

  @Test
  void nothingIsKeptWhenThePrefixCacheIsOff() {
    // Given
    var off = new Scheduler(new SchedulerOptions(16, 4, 4, 20, 0, 1000, 8, false));
    off.add(Sequences.base(0, 10, 1));
    // When
    Sequences.drain(off);
    // Then
    assertEquals(new BlockAllocator.Counts(20, 0, 0, 20), off.blocks());
  }

  private void run(Sequence sequence) {
    scheduler.add(sequence);
    Sequences.drain(scheduler);
    scheduler.checkIntegrity();
  }
}
