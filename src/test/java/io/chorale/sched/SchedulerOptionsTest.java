package io.chorale.sched;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class SchedulerOptionsTest {

  @Test
  void stepThatCouldNotHoldARowOfEveryRunningSequenceIsRefused() {
    // When
    var refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> new SchedulerOptions(7, 8, 16, 10, 0, 100, 8, true));
    // Then
    assertEquals("maxBatchTokens is 7, wanted at least 8", refused.getMessage());
  }

  @Test
  void longestSequenceIsBoundedByTheContextAndByAllBlocks() {
    // When
    int byContext = new SchedulerOptions(8, 8, 16, 10, 0, 100, 8, true).maxSequenceTokens();
    int byBlocks = new SchedulerOptions(8, 8, 16, 5, 0, 100, 8, true).maxSequenceTokens();
    // Then
    assertEquals(100, byContext);
    assertEquals(80, byBlocks);
  }

  @Test
  void morePositionsThanAnIntCountsAreRefused() {
    // When
    var refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> new SchedulerOptions(8, 8, 1 << 16, 1 << 16, 0, 100, 8, true));
    // Then
    assertEquals(
        "blocks is 65536 of 65536 tokens, wanted at most 2147483647 positions in all",
        refused.getMessage());
  }
}
