package io.chorale.sched.draft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

class StepCostTest {

  /** Steps of 1 to 16 rows that take {@code fixed + perRow * rows}, each up to 10 % longer. */
  private static StepCost learned(double fixed, double perRow) {
    StepCost cost = new StepCost();
    Random random = new Random(1);
    for (int i = 0; i < 500; i++) {
      int rows = 1 + random.nextInt(16);
      cost.observe(rows, (long) ((fixed + perRow * rows) * (1 + random.nextDouble() / 10)));
    }
    return cost;
  }

  @Test
  void aRowPaysIfItYieldsMoreTokensForItsTimeThanTheStepDoes() {
    StepCost cost = learned(4e6, 1e6);
    // 1 row: 5 ms a token, a row more costs 1 ms; 16 rows: 1.25 ms a token
    assertTrue(cost.pays(0.3, 1, 1));
    assertFalse(cost.pays(0.15, 1, 1));
    assertTrue(cost.pays(0.97, 16, 16));
    assertFalse(cost.pays(0.85, 16, 16));
  }

  @Test
  void nearlyFreeRowsPayAtLowChances() {
    assertTrue(learned(20e6, 0.1e6).pays(0.1, 1, 1));
  }

  @Test
  void beforeAnyStepIsSeenAnUnlikelyGuessDoesNotPay() {
    assertTrue(new StepCost().pays(0.35, 1, 1));
    assertFalse(new StepCost().pays(0.2, 1, 1));
  }

  @Test
  void oneStepThatTookAgesChangesLittle() {
    StepCost cost = learned(4e6, 1e6);
    cost.observe(1, 10_000_000_000L);
    assertTrue(cost.pays(0.3, 1, 1));
    assertFalse(cost.pays(0.12, 1, 1));
  }

  @Test
  void optionsOutOfBoundsAreRefusedWithTheBounds() {
    String message =
        assertThrows(IllegalArgumentException.class, () -> new DraftOptions(65, 2)).getMessage();
    assertEquals("maxTokens is 65, wanted 0 to 64", message);
    assertThrows(IllegalArgumentException.class, () -> new DraftOptions(4, 0));
  }
}
