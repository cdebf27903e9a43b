package io.chorale.train.watch.verdict;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.train.watch.TrainEvent;
import io.chorale.train.watch.TrainEvent.NotFinite;
import io.chorale.train.watch.TrainEvent.Step;
import io.chorale.train.watch.Verdict;
import io.chorale.train.watch.Verdict.Kind;
import io.chorale.train.watch.Verdict.Remedy;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class VerdictsTest {
  @Test
  void healthyRunsOfAnyLengthAndNoiseGetNoVerdict() {
    for (int seed = 0; seed < 300; seed++) {
      // Given
      Random random = new Random(seed);
      int total = 20 + random.nextInt(random.nextBoolean() ? 150 : 1500);
      double start = 1.5 + 2 * random.nextDouble();
      double end = start * (0.5 + 0.35 * random.nextDouble());
      double sigma = 0.35 * random.nextDouble() * end;
      // When
      List<Verdict> verdicts =
          Curves.judge(
              Curves.run(
                  total,
                  s ->
                      Math.max(
                          0.01, Curves.falling(start, end, s, total) + Curves.noise(random, sigma)),
                  s -> Curves.falling(start, end, s, total) * (1 + 0.004 * random.nextGaussian())));
      // Then
      assertEquals(List.of(), verdicts, "seed " + seed);
    }
  }

  @Test
  void lossThatLeavesItsBestForGoodIsDivergingOnceWithASmallerLearningRate() {
    for (int seed = 0; seed < 100; seed++) {
      // Given
      Random random = new Random(seed);
      int total = 60 + random.nextInt(600);
      int turn = total / 3 + random.nextInt(total / 3);
      // When
      List<Verdict> verdicts =
          Curves.judge(
              Curves.run(
                  total,
                  s ->
                      (s < turn
                              ? Curves.falling(2.5, 1.6, s, total)
                              : 1.6 + 6.0 * (s - turn) / turn)
                          + Curves.noise(random, 0.2),
                  null));
      // Then
      assertEquals(List.of(Kind.DIVERGING), Curves.raised(verdicts), "seed " + seed);
      assertEquals(
          new Remedy("--lr", "0.0002", "4e-05", "the steps overshoot"),
          verdicts.get(0).remedies().get(0));
    }
  }

  @Test
  void lossThatIsLostWithinTheFirstStepsIsDiverging() {
    // Given
    Random random = new Random(1);
    // When
    List<Verdict> verdicts =
        Curves.judge(Curves.run(100, s -> (s < 4 ? 2.3 : 8) + Curves.noise(random, 0.2), null));
    // Then
    assertEquals(List.of(Kind.DIVERGING), Curves.raised(verdicts));
  }

  @Test
  void flatLossIsNotConvergingAndIsTakenBackWhenItFallsAfterAll() {
    // Given
    Random random = new Random(3);
    // When
    List<Verdict> verdicts =
        Curves.judge(
            Curves.run(
                600,
                s -> 2.2 - (s < 300 ? 0 : (s - 300) / 300.0) + 0.03 * random.nextGaussian(),
                null));
    // Then
    assertEquals(Kind.NOT_CONVERGING, verdicts.get(0).kind());
    assertTrue(verdicts.get(0).raised());
    assertEquals(Kind.NOT_CONVERGING, verdicts.get(1).kind());
    assertTrue(!verdicts.get(1).raised());
    assertEquals("--lr", verdicts.get(0).remedies().get(0).flag());
    assertEquals("0.001", verdicts.get(0).remedies().get(0).to());
  }

  @Test
  void heldOutLossThatRisesWhileTrainingLossFallsIsOverfittingOnce() {
    // Given
    Random random = new Random(5);
    // When
    List<Verdict> verdicts =
        Curves.judge(
            Curves.run(
                200,
                s -> 2.0 * Math.exp(-s / 90.0) + 0.05 * random.nextGaussian(),
                s -> s <= 80 ? 2 - s / 100.0 : 1.2 + (s - 80) / 150.0));
    // Then
    assertEquals(List.of(Kind.OVERFITTING), Curves.raised(verdicts));
    assertEquals(80, verdicts.get(0).evidence().get("bestStep"));
    assertEquals(
        new Remedy("--epochs", "3", "2", "stop before the held-out loss rises"),
        verdicts.get(0).remedies().get(0));
  }

  @Test
  void bothLossesStillFallingAtTheEndAreUnderfitting() {
    // Given
    Random random = new Random(7);
    // When
    List<Verdict> verdicts =
        Curves.judge(
            Curves.run(
                200, s -> 3 - s / 150.0 + 0.05 * random.nextGaussian(), s -> 3.1 - s / 150.0));
    // Then
    assertEquals(List.of(Kind.UNDERFITTING), Curves.raised(verdicts));
    assertTrue(verdicts.get(0).step() == 200);
  }

  @Test
  void stepsWithoutTrainedTokensAreZeroSignalFromTheSecondOn() {
    // Given
    List<TrainEvent> events = new ArrayList<>(List.of(Curves.started(50)));
    for (int s = 1; s <= 50; s++) {
      events.add(new Step(s, 0.1, 0, 1e-4, 0, 100, 0, 10, 1));
    }
    // When
    List<Verdict> verdicts = Curves.judge(events);
    // Then
    assertEquals(List.of(Kind.ZERO_SIGNAL), Curves.raised(verdicts));
    assertEquals(2, verdicts.get(0).step());
    assertEquals("chorale data check", verdicts.get(0).remedies().get(0).flag());
  }

  @Test
  void rowsThatAreNotFiniteAreNamed() {
    // Given
    List<TrainEvent> events =
        List.of(
            Curves.started(50),
            Curves.step(1, 2, 1),
            new NotFinite(2, "loss is 100 % NaN", List.of("my.jsonl:7", "my.jsonl:99")));
    // When
    List<Verdict> verdicts = Curves.judge(events);
    // Then
    assertEquals(1, verdicts.size());
    assertEquals(Kind.NOT_FINITE, verdicts.get(0).kind());
    assertTrue(verdicts.get(0).text().contains("my.jsonl:7, my.jsonl:99"), verdicts.get(0).text());
    assertTrue(verdicts.get(0).text().contains("100 % NaN"), verdicts.get(0).text());
  }

  @Test
  void oneWildGradientIsNoVerdictThreeAre() {
    // Given
    List<TrainEvent> events = new ArrayList<>(List.of(Curves.started(200)));
    for (int s = 1; s <= 200; s++) {
      boolean wild = s == 60 || s >= 120 && s % 3 == 0 && s < 140;
      events.add(Curves.step(s, 2.5 * Math.exp(-s / 20.0) + 1, wild ? 500 : 0.5));
    }
    // When
    List<Verdict> verdicts = Curves.judge(events);
    // Then
    assertEquals(2, verdicts.size(), verdicts.toString());
    assertEquals(Kind.GRADIENT_EXPLODING, verdicts.get(0).kind());
    assertEquals(126, verdicts.get(0).step());
    assertTrue(!verdicts.get(1).raised());
  }

  @Test
  void memoryAtItsBoundIsToldOnceHoweverOftenItCrosses() {
    // Given
    Verdicts verdicts = new Verdicts(1000);
    List<Verdict> all = new ArrayList<>();
    // When
    for (int s = 1; s <= 100; s++) {
      long bytes = s % 2 == 0 ? 930 : 900;
      all.addAll(verdicts.on(new Step(s, 0.1, 1 + Math.exp(-s / 5.0), 1e-4, 1, 10, 10, 1, bytes)));
    }
    // Then
    assertEquals(List.of(Kind.MEMORY_NEAR_LIMIT), Curves.raised(all));
    assertEquals(1, all.size());
  }

  @Test
  void everyKindIsRaisedAndTakenBackInTurnOnAnyCurve() {
    for (int seed = 0; seed < 100; seed++) {
      // Given
      Random random = new Random(seed);
      double[] walk = {2};
      // When
      List<Verdict> verdicts =
          Curves.judge(
              Curves.run(
                  400,
                  s -> walk[0] = Math.max(0, walk[0] + 0.6 * random.nextGaussian()),
                  s -> 2 + random.nextGaussian()));
      // Then
      HashSet<Kind> on = new HashSet<>();
      for (Verdict verdict : verdicts) {
        boolean changes = verdict.raised() ? on.add(verdict.kind()) : on.remove(verdict.kind());
        assertTrue(changes, "seed " + seed + ": " + verdict);
      }
    }
  }
}
