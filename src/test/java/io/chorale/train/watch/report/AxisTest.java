package io.chorale.train.watch.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class AxisTest {
  @Test
  void ticksLieInsideAndAreFewOnAnySpan() {
    Random random = new Random(0);
    for (int i = 0; i < 2000; i++) {
      // Given
      double low = random.nextGaussian() * Math.pow(10, random.nextInt(12) - 6);
      double high = low + Math.exp(8 * random.nextGaussian());
      Axis axis = Axis.around(low, high, random.nextBoolean() && low > 0);
      // When
      List<Double> ticks = axis.ticks(5);
      // Then
      assertTrue(ticks.size() <= 16, axis + ": " + ticks);
      for (double tick : ticks) {
        assertTrue(axis.at(tick) > -1e-6 && axis.at(tick) < 1 + 1e-6, axis + ": " + tick);
      }
    }
  }

  @Test
  void oneValueGetsRoomAroundIt() {
    assertTrue(Axis.around(3, 3, false).low() < 3);
    assertTrue(Axis.around(0, 0, false).high() > 0);
  }

  @Test
  void labelsAreShortAndExact() {
    assertEquals("0", Axis.label(0));
    assertEquals("0.002", Axis.label(0.002));
    assertEquals("1.5e-4", Axis.label(1.5e-4));
    assertEquals("2e-10", Axis.label(2e-10));
    assertEquals("1200", Axis.label(1200));
    assertEquals("12.5k", Axis.label(12_500));
    assertEquals("3M", Axis.label(3_000_000));
  }

  @Test
  void thinnedCurveKeepsItsSpikes() {
    // Given
    double[] x = new double[10_000];
    double[] y = new double[10_000];
    for (int i = 0; i < x.length; i++) {
      x[i] = i;
    }
    y[7777] = 9;
    y[1234] = -9;
    // When
    Curve thin = new Curve("", "raw", x, y).thinned(100);
    // Then
    assertEquals(200, thin.x().length);
    assertEquals(9, thin.quantile(1));
    assertEquals(-9, thin.quantile(0));
  }
}
