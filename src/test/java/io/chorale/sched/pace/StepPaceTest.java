package io.chorale.sched.pace;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** Against imagined machines whose step times are known. Milliseconds. */
class StepPaceTest {

  /** What a step takes, within 5 %. */
  private record Machine(double fixed, double decode, double prefill, double position) {
    double step(int decodes, int prefills, long positions) {
      return fixed + decode * decodes + prefill * prefills + position * positions;
    }
  }

  private static final Machine LAPTOP = new Machine(6, 1.0, 0.7, 0.0002);
  private static final Machine SLOW = new Machine(30, 3, 4, 0.001);

  private final Random random = new Random(3);

  @Test
  void promptsFillTheTimeThatDecodeRowsLeaveAndNoMore() {
    for (Machine machine : new Machine[] {LAPTOP, SLOW}) {
      StepPace pace = new StepPace(100);
      run(pace, machine, 200);
      for (int decodes : new int[] {2, 8, 16}) {
        long positions = decodes * 300L;
        // When
        int rows = pace.prefillRows(decodes, positions, 0);
        // Then
        double took = machine.step(decodes, rows, positions + (long) rows * rows / 2);
        assertTrue(took < 125 || rows == StepPace.LEAST_ROWS, machine + " " + rows + " " + took);
        boolean roomForMore = machine.step(decodes, rows + 32, positions) < 75;
        assertTrue(!roomForMore, machine + " " + decodes + ": " + rows + " rows take " + took);
      }
    }
  }

  @Test
  void aMachineThatSlowsDownGetsFewerRowsWithinTwentySteps() {
    StepPace pace = new StepPace(100);
    run(pace, LAPTOP, 100);
    int before = pace.prefillRows(4, 1000, 0);
    // When
    run(pace, SLOW, 20);
    // Then
    assertTrue(pace.prefillRows(4, 1000, 0) < before / 2);
  }

  @Test
  void withoutDecodeRowsOrWithoutATargetNothingIsHeldBack() {
    StepPace off = new StepPace(0);
    StepPace on = new StepPace(1);
    run(on, SLOW, 50);
    assertEquals(Integer.MAX_VALUE, off.prefillRows(16, 1000, 0));
    assertEquals(Integer.MAX_VALUE, on.prefillRows(0, 0, 0));
  }

  @Test
  void promptsMoveOnHoweverSlowTheDecodeRowsAre() {
    StepPace pace = new StepPace(1);
    run(pace, SLOW, 50);
    assertEquals(StepPace.LEAST_ROWS, pace.prefillRows(16, 10_000, 5000));
  }

  @Test
  void oneStepThatHungDoesNotStopThePrompts() {
    StepPace pace = new StepPace(100);
    run(pace, LAPTOP, 200);
    int before = pace.prefillRows(4, 1000, 0);
    // When
    pace.observe(4, 0, 1000, 10_000_000_000L);
    // Then
    assertTrue(pace.prefillRows(4, 1000, 0) > before / 2);
  }

  /** Mixed steps as an engine has them: mostly decode rows alone, sometimes a chunk. */
  private void run(StepPace pace, Machine machine, int steps) {
    for (int i = 0; i < steps; i++) {
      int decodes = 1 + random.nextInt(16);
      long positions = decodes * (100L + random.nextInt(400));
      int wanted = random.nextInt(3) == 0 ? 512 : 0;
      int rows = Math.min(wanted, pace.prefillRows(decodes, positions, 0));
      positions += (long) rows * rows / 2;
      double noise = 0.95 + 0.1 * random.nextDouble();
      double took = machine.step(decodes, rows, positions) * noise;
      pace.observe(decodes, rows, positions, (long) (took * 1e6));
    }
  }
}
