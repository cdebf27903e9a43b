package io.chorale.train.merge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class SurvivalReportTest {
  private static final float[] BASE = {1, 1, 1, 1};
  private static final float[] WANTED = {1.5f, 0.5f, 1, 1};

  @Test
  void halfOfTheUpdateAndSomethingAcrossItAreToldApart() {
    // Given
    SurvivalReport report = new SurvivalReport();
    // When
    report.add(0, 4, BASE, WANTED, new float[] {1.25f, 0.75f, 1.5f, 1});
    // Then
    assertEquals(0.5, report.survival(), 1e-12);
    assertEquals(Math.sqrt(0.5), report.noise(), 1e-12);
  }

  @Test
  void updateThatIsRoundedAwayIsWarnedOfWithTheWayOut() {
    // Given
    SurvivalReport report = new SurvivalReport();
    report.add(0, 4, BASE, WANTED, BASE);
    // When
    String text = report.text();
    // Then
    assertTrue(text.contains("WARNING: 0 % of the update survives"), text);
    assertTrue(text.contains("Serve the adapter unmerged"), text);
    assertTrue(text.contains("--rounding dither"), text);
    assertTrue(text.contains("chorale train --merge-aware"), text);
  }

  @Test
  void updateThatIsKeptIsNotWarnedOf() {
    // Given
    SurvivalReport report = new SurvivalReport();
    report.add(0, 4, BASE, WANTED, WANTED);
    report.add(1, 4, BASE, BASE, BASE);
    // When
    String text = report.text();
    // Then
    assertFalse(text.contains("WARNING"), text);
    assertTrue(text.contains("1   unchanged"), text);
  }
}
