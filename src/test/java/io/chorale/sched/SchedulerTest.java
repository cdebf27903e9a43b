package io.chorale.sched;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SchedulerTest {

  @Test
  void longPromptIsCutInChunksAndOnlyItsLastChunkSamples() {
    // Given
    var scheduler = new Scheduler(Sequences.options(20));
    scheduler.add(Sequences.base(0, 19, 5));
    // When
    ScheduledRows rows = Sequences.step(scheduler, 7).rows().get(0);
    // Then
    assertRows(0, 8, false, rows);
    Sequences.step(scheduler, 7);
    assertRows(8, 8, false, rows);
    Sequences.step(scheduler, 7);
    assertRows(16, 3, true, rows);
    Sequences.step(scheduler, 7);
    assertRows(19, 1, true, rows);
  }

  @Test
  void decodeRowsComeBeforeChunksAndLeaveThemTheRestOfTheStep() {
    // Given
    var scheduler = new Scheduler(new SchedulerOptions(10, 4, 4, 50, 2, 1000, 8, true));
    Sequence longPrompt = Sequences.base(100, 30, 5);
    Sequence decoding = Sequences.base(0, 2, 5);
    Sequence late = Sequences.base(200, 30, 5);
    scheduler.add(longPrompt);
    scheduler.add(decoding);
    Sequences.step(scheduler, 7);
    scheduler.add(late);
    // When
    ScheduledBatch batch = scheduler.schedule();
    // Then
    assertEquals(
        List.of(decoding, longPrompt, late),
        batch.rows().stream().map(ScheduledRows::sequence).toList());
    assertEquals(List.of(1, 8, 1), batch.rows().stream().map(ScheduledRows::count).toList());
    assertEquals(10, batch.totalRows());
  }

  @Test
  void nobodyIsAdmittedBeforeAnEarlierSequenceWhoseChunkFindsNoBlocks() {
    // Given
    var scheduler = new Scheduler(Sequences.options(4));
    scheduler.add(Sequences.base(0, 12, 3));
    Sequences.step(scheduler, 7);
    Sequences.step(scheduler, 7); // holds 3 of 4 blocks
    Sequence needsTwo = Sequences.base(100, 8, 1);
    Sequence needsOne = Sequences.base(200, 1, 1);
    scheduler.add(needsTwo);
    scheduler.add(needsOne);
    // When
    ScheduledBatch batch = Sequences.step(scheduler, 7);
    // Then
    assertEquals(1, batch.rows().size());
    assertEquals(2, scheduler.waiting());
    Sequences.drain(scheduler);
    assertEquals(FinishReason.LENGTH, needsTwo.finishReason());
    assertEquals(FinishReason.LENGTH, needsOne.finishReason());
  }

  @Test
  void promptThatCanNeverFitIsRefusedWithWhatItNeedsAndWhatThereIs() {
    // Given
    var scheduler = new Scheduler(Sequences.options(5));
    // When
    var refused =
        assertThrows(IllegalArgumentException.class, () -> scheduler.add(Sequences.base(0, 20, 1)));
    // Then
    assertTrue(refused.getMessage().contains("needs 21 tokens"), refused.getMessage());
    assertTrue(refused.getMessage().contains("20 are available"), refused.getMessage());
    assertFalse(scheduler.hasWork());
  }

  @Test
  void decodeWithoutABlockSendsTheYoungestBackToTheHeadOfTheQueue() {
    // Given
    var scheduler = new Scheduler(Sequences.options(4));
    Sequence oldest = Sequences.base(0, 8, 9);
    Sequence youngest = Sequences.base(100, 8, 9);
    Sequence queued = Sequences.base(200, 8, 9);
    scheduler.add(oldest);
    scheduler.add(youngest);
    scheduler.add(queued);
    Sequences.step(scheduler, 7); // two blocks each, all full
    // When
    ScheduledBatch batch = scheduler.schedule();
    // Then
    assertEquals(1, batch.rows().size());
    assertSame(oldest, batch.rows().get(0).sequence());
    assertEquals(SequenceState.WAITING, youngest.state());
    assertEquals(1, youngest.preemptions());
    assertEquals(1, scheduler.preemptions());
    assertEquals(0, youngest.computedTokens());
    assertEquals(1, youngest.generatedTokens());
    Sequences.commit(scheduler, batch, 7);
    while (youngest.state() == SequenceState.WAITING) {
      Sequences.step(scheduler, 7);
    }
    assertEquals(SequenceState.WAITING, queued.state());
  }

  @Test
  void chunkLeavesTheBlocksThatYoungerDecodesNeed() {
    // Given
    var scheduler = new Scheduler(Sequences.options(5));
    scheduler.add(Sequences.base(0, 19, 9));
    Sequence decoding = Sequences.base(100, 4, 9);
    scheduler.add(decoding);
    Sequences.step(scheduler, 7); // three blocks, all full
    // When
    ScheduledBatch batch = scheduler.schedule();
    // Then
    assertEquals(List.of(1, 4), batch.rows().stream().map(ScheduledRows::count).toList());
    assertSame(decoding, batch.rows().get(0).sequence());
    assertEquals(0, scheduler.preemptions());
  }

  @Test
  void sequenceThatWasPassedInTheQueueIsNotTakenForTheYoungest() {
    // Given
    var scheduler = new Scheduler(new SchedulerOptions(16, 4, 4, 5, 1, 1000, 8, true));
    Sequence passed = Sequences.adapted(6, 100, 8, 9);
    Sequence passing = Sequences.base(200, 8, 9);
    scheduler.add(Sequences.adapted(5, 0, 3, 1)); // holds the only loraSlot for one step
    scheduler.add(passed);
    scheduler.add(passing);
    Sequences.step(scheduler, 7);
    Sequences.step(scheduler, 7); // five blocks are used now
    // When
    scheduler.schedule();
    // Then
    assertEquals(0, passed.preemptions());
    assertEquals(1, passing.preemptions());
  }

  @Test
  void preemptedSequenceComesBackOnlyWhenAllOfItFits() {
    // Given
    var scheduler = new Scheduler(new SchedulerOptions(16, 2, 4, 8, 0, 1000, 4, false));
    Sequence oldest = Sequences.base(0, 16, 10);
    Sequence youngest = Sequences.base(100, 16, 10);
    scheduler.add(oldest);
    scheduler.add(youngest);
    while (youngest.preemptions() == 0) {
      Sequences.step(scheduler, 7);
    }
    // When
    Sequences.step(scheduler, 7); // a chunk of 4 would fit, the whole of 17 does not
    // Then
    assertEquals(SequenceState.WAITING, youngest.state());
    Sequences.drain(scheduler);
    assertEquals(1, youngest.preemptions());
    assertEquals(10, youngest.generatedTokens());
  }

  @Test
  void stopTokenEndsTheSequenceAndIsCounted() {
    // Given
    var scheduler = new Scheduler(Sequences.options(4));
    Sequence sequence =
        Sequences.of(-1, Sequences.prompt(0, 3), SamplingParams.greedy(5, Set.of(42)));
    scheduler.add(sequence);
    Sequences.step(scheduler, 7);
    // When
    ScheduledBatch batch = scheduler.schedule();
    List<Sequence> finished = scheduler.commit(batch, new int[] {42});
    // Then
    assertEquals(List.of(sequence), finished);
    assertEquals(FinishReason.STOP, sequence.finishReason());
    assertArrayEquals(new int[] {0, 1, 2, 7, 42}, sequence.tokens());
    assertEquals(0, scheduler.blocks().used());
  }

  @Test
  void sequenceEndsWithLengthAtMaxTokensAndAtTheModelsContext() {
    // Given
    var scheduler = new Scheduler(new SchedulerOptions(16, 4, 4, 20, 0, 10, 8, true));
    Sequence byMaxTokens = Sequences.base(0, 3, 2);
    Sequence byContext = Sequences.base(100, 8, 50);
    scheduler.add(byMaxTokens);
    scheduler.add(byContext);
    // When
    Sequences.drain(scheduler);
    // Then
    assertEquals(FinishReason.LENGTH, byMaxTokens.finishReason());
    assertEquals(2, byMaxTokens.generatedTokens());
    assertEquals(FinishReason.LENGTH, byContext.finishReason());
    assertEquals(10, byContext.length());
  }

  @Test
  void abortFreesBlocksWhereverTheSequenceStandsAndASecondOneChangesNothing() {
    // Given
    var scheduler = new Scheduler(Sequences.options(4));
    Sequence running = Sequences.base(0, 8, 9);
    Sequence waiting = Sequences.base(100, 15, 9);
    scheduler.add(running);
    Sequences.step(scheduler, 7);
    scheduler.add(waiting);
    // When
    scheduler.abort(running, FinishReason.ABORT);
    scheduler.abort(waiting, FinishReason.ERROR);
    scheduler.abort(waiting, FinishReason.ABORT);
    // Then
    assertFalse(scheduler.hasWork());
    assertEquals(new BlockAllocator.Counts(2, 2, 0, 4), scheduler.blocks());
    assertEquals(FinishReason.ABORT, running.finishReason());
    assertEquals(FinishReason.ERROR, waiting.finishReason());
    scheduler.checkIntegrity();
  }

  @Test
  void sampledTokenOfASequenceAbortedDuringTheStepIsPassedOver() {
    // Given
    var scheduler = new Scheduler(Sequences.options(8));
    Sequence aborted = Sequences.base(0, 3, 9);
    Sequence other = Sequences.base(100, 3, 9);
    scheduler.add(aborted);
    scheduler.add(other);
    ScheduledBatch batch = scheduler.schedule();
    scheduler.abort(aborted, FinishReason.ABORT);
    // When
    scheduler.commit(batch, new int[] {41, 42});
    // Then
    assertEquals(3, aborted.length());
    assertEquals(42, other.token(3));
    scheduler.checkIntegrity();
  }

  @Test
  void failedBatchEndsItsSequencesAndSharesNothingOfWhatItWrote() {
    // Given
    var scheduler = new Scheduler(Sequences.options(8));
    Sequence failed = Sequences.base(0, 9, 9);
    scheduler.add(failed);
    Sequences.step(scheduler, 7); // two full blocks are in place
    ScheduledBatch batch = scheduler.schedule();
    // When
    scheduler.failBatch(batch);
    // Then
    assertEquals(FinishReason.ERROR, failed.finishReason());
    assertEquals(new BlockAllocator.Counts(6, 2, 0, 8), scheduler.blocks());
    scheduler.checkIntegrity();
    scheduler.add(Sequences.base(100, 9, 1));
    scheduler.failBatch(scheduler.schedule());
    assertEquals(2, scheduler.blocks().cached());
  }

  @Test
  void batchMustBeAnsweredOnceAndBeforeTheNext() {
    // Given
    var scheduler = new Scheduler(Sequences.options(8));
    scheduler.add(Sequences.base(0, 3, 9));
    ScheduledBatch batch = scheduler.schedule();
    // When
    var early = assertThrows(IllegalStateException.class, scheduler::schedule);
    var short1 =
        assertThrows(
            IllegalArgumentException.class, () -> scheduler.commit(batch, new int[] {1, 2}));
    scheduler.commit(batch, new int[] {7});
    var twice =
        assertThrows(IllegalStateException.class, () -> scheduler.commit(batch, new int[] {7}));
    // Then
    assertEquals(
        "a batch of 3 rows is in flight, wanted commit or failBatch first", early.getMessage());
    assertEquals("2 tokens for a batch that samples 1", short1.getMessage());
    assertEquals("batch of 3 rows is not in flight", twice.getMessage());
  }

  @Test
  void emptySchedulerGivesAnEmptyBatchThatNeedsNoAnswer() {
    // Given
    var scheduler = new Scheduler(Sequences.options(8));
    // When
    ScheduledBatch batch = scheduler.schedule();
    // Then
    assertTrue(batch.isEmpty());
    assertEquals(0, batch.totalRows());
    assertTrue(scheduler.schedule().isEmpty());
  }

  @Test
  void integrityCheckNamesABlockThatATableHoldsWithoutCounting() {
    // Given
    var scheduler = new Scheduler(Sequences.options(8));
    Sequence sequence = Sequences.base(0, 3, 9);
    scheduler.add(sequence);
    Sequences.step(scheduler, 7);
    scheduler.checkIntegrity();
    // When
    sequence.blocks().append(5);
    // Then
    var off = assertThrows(IllegalStateException.class, scheduler::checkIntegrity);
    assertEquals("KV block 5 has 0 holders, tables hold it 1 times", off.getMessage());
  }

  @Test
  void sequenceCanBeAddedOnceOnly() {
    // Given
    var scheduler = new Scheduler(Sequences.options(8));
    Sequence sequence = Sequences.base(0, 3, 1);
    scheduler.add(sequence);
    Sequences.drain(scheduler);
    // When
    var again = assertThrows(IllegalArgumentException.class, () -> scheduler.add(sequence));
    // Then
    assertTrue(again.getMessage().endsWith("was added before"), again.getMessage());
    assertNull(Sequences.base(0, 3, 1).finishReason());
  }

  private static void assertRows(int start, int count, boolean samples, ScheduledRows rows) {
    assertEquals(start, rows.start());
    assertEquals(count, rows.count());
    assertEquals(samples, rows.samples());
  }
}
