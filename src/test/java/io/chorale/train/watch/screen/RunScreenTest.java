package io.chorale.train.watch.screen;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.train.watch.TrainEvent;
import io.chorale.train.watch.TrainEvent.Evaluated;
import io.chorale.train.watch.TrainEvent.Finished;
import io.chorale.train.watch.TrainEvent.Judged;
import io.chorale.train.watch.TrainEvent.Started;
import io.chorale.train.watch.TrainEvent.Step;
import io.chorale.train.watch.Verdict;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RunScreenTest {
  private final StringWriter text = new StringWriter();
  private long nowMs;

  private RunScreen screen(boolean inPlace, boolean unicode, int width) {
    return new RunScreen(new PrintWriter(text), inPlace, width, unicode, () -> nowMs);
  }

  private static Started started(int total) {
    return new Started(
        "legal", Map.of("method", "dora", "rank", "8"), Map.of(), 50, 1000, total, 0, 2L << 30);
  }

  private static Step step(int step, double ms) {
    return new Step(step, step / 10.0, 3.0 / step, 2e-4, 0.7, 500, 300, ms, 1L << 30);
  }

  /** What a terminal of endless height shows in the end. */
  private List<String> shown() {
    List<String> rows = new ArrayList<>(List.of(""));
    int row = 0;
    String rest = text.toString().replaceAll("\033\\[[0-9;]*m", "");
    for (int i = 0; i < rest.length(); i++) {
      char c = rest.charAt(i);
      if (c == '\n') {
        row++;
        if (row == rows.size()) {
          rows.add("");
        }
      } else if (rest.startsWith("\033[2K", i)) {
        rows.set(row, "");
        i += 3;
      } else if (c == '\033') {
        int end = rest.indexOf('A', i);
        row -= Integer.parseInt(rest.substring(i + 2, end));
        i = end;
      } else if (c != '\r') {
        rows.set(row, rows.get(row) + c);
      }
    }
    return rows;
  }

  @Test
  void screenIsRepaintedInPlaceAndShowsTheNewestStepOnly() {
    // Given
    RunScreen screen = screen(true, true, 100);
    screen.on(started(10));
    // When
    for (int s = 1; s <= 5; s++) {
      nowMs += 1000;
      screen.on(step(s, 1000));
    }
    // Then
    String all = String.join("\n", shown());
    assertEquals(8, shown().size(), all);
    assertTrue(all.contains("50.0 %  step 5/10  epoch 0.50"), all);
    assertTrue(all.contains("elapsed 0:05   left 0:05   1.00 s/step"), all);
    assertTrue(all.contains("500 tokens/s, 300 of them trained"), all);
    assertTrue(
        all.contains("memory 1.00 GiB now, 1.00 GiB peak, planned 2.00 GiB (50 % of it)"), all);
    assertFalse(all.contains("step 4/10"), all);
  }

  @Test
  void screenIsPaintedAtMostFiveTimesASecond() {
    // Given
    RunScreen screen = screen(true, true, 100);
    screen.on(started(10_000));
    int before = text.toString().length();
    // When
    for (int s = 1; s <= 1000; s++) {
      nowMs += 1;
      screen.on(step(s, 1));
    }
    // Then
    long paints = text.toString().substring(before).split("epoch", -1).length - 1;
    assertTrue(paints <= 6, paints + " paints in a second");
  }

  @Test
  void linesNeverReachTheTerminalsEdge() {
    for (int width = 20; width < 140; width += 7) {
      // Given
      text.getBuffer().setLength(0);
      RunScreen screen = screen(true, true, width);
      // When
      screen.on(started(1000));
      nowMs += 1000;
      screen.on(step(1, 1000));
      nowMs += 1000;
      screen.on(new Evaluated(1, 0.1, 2.2, true, 10));
      // Then
      int edge = width;
      assertTrue(shown().stream().allMatch(row -> row.length() < edge), shown().toString());
    }
  }

  @Test
  void distanceFromTheBaseStandsInTheLineOfItsStep() {
    // Given
    RunScreen screen = screen(false, false, 100);
    screen.on(started(10));
    nowMs += 20_000;
    // When
    screen.on(new TrainEvent.Retained(1, 0.0213));
    screen.on(step(1, 1000));
    // Then
    assertTrue(text.toString().contains("from base 0.0213"), text.toString());
  }

  @Test
  void verdictScrollsAboveThePicture() {
    // Given
    RunScreen screen = screen(true, true, 100);
    screen.on(started(10));
    nowMs += 1000;
    screen.on(step(1, 1000));
    // When
    screen.on(
        new Judged(
            new Verdict(
                Verdict.Kind.DIVERGING,
                true,
                1,
                Map.of(),
                "it rose",
                List.of(new Verdict.Remedy("--lr", "1", "0.1", "slower")))));
    // Then
    assertEquals("step 1  DIVERGING: it rose", shown().get(0));
    assertEquals("  try --lr 1 -> 0.1: slower", shown().get(1));
    assertTrue(shown().get(2).startsWith("training legal"), shown().toString());
  }

  @Test
  void plainOutputHasNoEscapeAndIsSparse() {
    // Given
    RunScreen screen = screen(false, false, 200);
    List<TrainEvent> events = new ArrayList<>(List.of(started(100)));
    for (int s = 1; s <= 100; s++) {
      events.add(step(s, 1000));
    }
    events.add(new Finished(100, "done", 100, 1L << 30, "adapters/legal"));
    // When
    for (TrainEvent event : events) {
      nowMs += 1000;
      screen.on(event);
    }
    // Then
    String all = text.toString();
    assertFalse(all.contains("\033"), all);
    assertTrue(all.lines().count() <= 14, all);
    assertTrue(all.contains("step 100/100"), all);
    assertTrue(
        all.endsWith("done after step 100, 1:40, peak memory 1.00 GiB, in adapters/legal\n"), all);
    assertTrue(all.chars().allMatch(c -> c < 128), all);
  }

  @Test
  void timeLeftForgetsSlowFirstStepsAndCountsEvaluations() {
    // Given
    TimeLeft left = new TimeLeft();
    left.step(60_000);
    left.step(9_000);
    for (int s = 3; s <= 20; s++) {
      left.step(1000);
    }
    left.pause(10_000);
    // When
    double ms = left.leftMs(100);
    // Then
    assertEquals(100 * (1000 + 500), ms, 1e-6);
  }

  @Test
  void oneStalledStepDoesNotMultiplyTheTimeLeft() {
    // Given
    TimeLeft left = new TimeLeft();
    for (int s = 1; s <= 30; s++) {
      left.step(s == 20 ? 600_000 : 1000);
    }
    // When
    double ms = left.leftMs(10);
    // Then
    assertTrue(ms < 11_000, ms + " ms");
  }

  @Test
  void sparklineShowsMeansOfEqualSpans() {
    assertEquals("█▁", Sparkline.of(new double[] {9, 7, 1, 1}, 2, true));
    assertEquals("#?_", Sparkline.of(new double[] {4, Double.NaN, 1}, 3, false));
  }

  @Test
  void noColorAndDumbTerminalsAreNotPaintedOver() {
    // Given
    System.setProperty("launcher.tty", "true");
    try {
      // When, Then
      assertTrue(Terminal.repaints(Map.of("TERM", "xterm")));
      assertFalse(Terminal.repaints(Map.of("TERM", "dumb")));
      assertFalse(Terminal.repaints(Map.of("TERM", "xterm", "NO_COLOR", "1")));
    } finally {
      System.clearProperty("launcher.tty");
    }
    assertFalse(Terminal.repaints(Map.of("TERM", "xterm")));
  }
}
