package io.chorale.sched;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.sched.draft.DraftOptions;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Who gets a loraSlot and when, seen through {@link Scheduler}; 2 loraSlots. */
class AdapterSeatingTest {
  private final Scheduler scheduler = new Scheduler(Sequences.options(200));

  @Test
  void baseAndTwoAdaptersShareABatchEachInItsOwnLoraSlot() {
    // Given
    scheduler.add(Sequences.adapted(5, 0, 3, 9));
    scheduler.add(Sequences.base(100, 3, 9));
    scheduler.add(Sequences.adapted(6, 200, 3, 9));
    // When
    ScheduledBatch batch = scheduler.schedule();
    // Then
    assertEquals(List.of(new Seating(5, 0), new Seating(6, 1)), batch.seatings());
    assertEquals(List.of(0, -1, 1), batch.rows().stream().map(ScheduledRows::loraSlot).toList());
    assertEquals(List.of(5, 6), scheduler.residentAdapterKeys());
    assertEquals(List.of(5, 6), scheduler.runningAdapterKeys());
  }

  @Test
  void residentAdapterIsNotSeatedAgain() {
    // Given
    run(Sequences.adapted(5, 0, 3, 1));
    scheduler.add(Sequences.adapted(5, 100, 3, 1));
    // When
    ScheduledBatch batch = scheduler.schedule();
    // Then
    assertEquals(List.of(), batch.seatings());
    assertEquals(0, batch.rows().get(0).loraSlot());
  }

  @Test
  void newAdapterTakesTheSlotThatIsIdleForLongest() {
    // Given
    run(Sequences.adapted(5, 0, 3, 1));
    run(Sequences.adapted(6, 0, 3, 1));
    run(Sequences.adapted(5, 0, 3, 1));
    scheduler.add(Sequences.adapted(7, 0, 3, 1));
    // When
    ScheduledBatch batch = scheduler.schedule();
    // Then
    assertEquals(List.of(new Seating(7, 1)), batch.seatings());
    assertEquals(List.of(5, 7), scheduler.residentAdapterKeys());
  }

  @Test
  void sequenceWhoseAdapterIsNotAtHandHoldsUpNobodyHoweverOftenItIsPassed() {
    // Given
    Set<Integer> ready = new HashSet<>(Set.of(6));
    Scheduler picky = new Scheduler(Sequences.options(200), DraftOptions.OFF, 0, ready::contains);
    Sequence late = Sequences.adapted(5, 0, 3, 500);
    picky.add(late);
    assertTrue(picky.schedule().isEmpty());
    for (int i = 0; i < Scheduler.MAX_SKIPS + 10; i++) {
      picky.add(Sequences.adapted(6, 100, 1, 1));
    }
    // When
    while (picky.waiting() + picky.running() > 1) {
      Sequences.step(picky, 1);
    }
    // Then
    ready.add(5);
    assertEquals(List.of(new Seating(5, 1)), picky.schedule().seatings());
    assertEquals(SequenceState.RUNNING, late.state());
  }

  @Test
  void sequenceWithoutALoraSlotIsPassedByAtMostMaxSkipsLaterOnes() {
    // Given
    scheduler.add(Sequences.adapted(5, 0, 3, 500));
    scheduler.add(Sequences.adapted(6, 0, 3, 500));
    Sequence unseated = Sequences.adapted(7, 0, 3, 1);
    scheduler.add(unseated);
    for (int i = 0; i < Scheduler.MAX_SKIPS + 10; i++) {
      scheduler.add(Sequences.base(100, 1, 1));
    }
    // When
    for (int i = 0; i < 100; i++) {
      Sequences.step(scheduler, 1);
    }
    // Then
    assertEquals(SequenceState.WAITING, unseated.state());
    assertEquals(List.of(7), scheduler.waitingAdapterKeys());
    assertEquals(1 + 10, scheduler.waiting());
    Sequences.drain(scheduler);
    assertEquals(FinishReason.LENGTH, unseated.finishReason());
  }

  @Test
  void adapterOfAFailedBatchIsSeatedAgain() {
    // Given
    scheduler.add(Sequences.adapted(5, 0, 3, 1));
    scheduler.failBatch(scheduler.schedule());
    scheduler.add(Sequences.adapted(5, 0, 3, 1));
    // When
    ScheduledBatch batch = scheduler.schedule();
    // Then
    assertEquals(List.of(new Seating(5, 0)), batch.seatings());
  }

  @Test
  void retiredAdapterLeavesItsLoraSlotAndItsCachedBlocks() {
    // Given
    run(Sequences.adapted(5, 0, 9, 1));
    run(Sequences.adapted(6, 0, 9, 1));
    // When
    scheduler.retireAdapter(5);
    // Then
    assertEquals(List.of(6), scheduler.residentAdapterKeys());
    assertEquals(new BlockAllocator.Counts(198, 2, 0, 200), scheduler.blocks());
    scheduler.checkIntegrity();
  }

  @Test
  void adapterThatASequenceNeedsCannotBeRetired() {
    // Given
    Sequence sequence = Sequences.adapted(5, 0, 3, 9);
    scheduler.add(sequence);
    // When
    var waits = assertThrows(IllegalStateException.class, () -> scheduler.retireAdapter(5));
    Sequences.step(scheduler, 1);
    var runs = assertThrows(IllegalStateException.class, () -> scheduler.retireAdapter(5));
    // Then
    assertTrue(waits.getMessage().startsWith("adapter 5 is retired but"), waits.getMessage());
    assertTrue(runs.getMessage().startsWith("adapter 5 is retired but"), runs.getMessage());
    assertEquals(SequenceState.RUNNING, sequence.state());
  }

  @Test
  void adapterIsRefusedWhereThereIsNoLoraSlotAtAll() {
    // Given
    var baseOnly = new Scheduler(new SchedulerOptions(16, 4, 4, 20, 0, 1000, 8, true));
    // When
    var refused =
        assertThrows(
            IllegalArgumentException.class, () -> baseOnly.add(Sequences.adapted(5, 0, 3, 1)));
    // Then
    assertTrue(refused.getMessage().endsWith("maxLoras is 0; raise it"), refused.getMessage());
  }

  private void run(Sequence sequence) {
    scheduler.add(sequence);
    Sequences.drain(scheduler);
    scheduler.checkIntegrity();
  }
}
