package io.chorale.eval.stat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.eval.Metric;
import io.chorale.eval.stat.Forgetting.Verdict;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class BootstrapTest {
  private static final Bootstrap BOOTSTRAP = new Bootstrap(4000, 1);

  private static Strata share(int right, int all) {
    double[] scores = new double[all];
    for (int i = 0; i < right; i++) {
      scores[i] = 1;
    }
    return Strata.of(Metric.share("acc", scores));
  }

  @Test
  void intervalOfAShareIsNearTheNormalOne() {
    // When
    Estimate estimate = BOOTSTRAP.of(share(120, 400));
    // Then: 0.3 -+ 1.96 * sqrt(0.3 * 0.7 / 400)
    assertEquals(0.3, estimate.value());
    assertEquals(0.3 - 0.0449, estimate.low(), 0.006);
    assertEquals(0.3 + 0.0449, estimate.high(), 0.006);
  }

  @Test
  void allRightOfTwentyIsWilsonsIntervalAndNotAPoint() {
    // scipy 1.17: binomtest(20, 20).proportion_ci(method='wilson')
    assertEquals(0.8388748419471808, BOOTSTRAP.of(share(20, 20)).low(), 1e-12);
    assertEquals(0.16112515805281935, BOOTSTRAP.of(share(0, 20)).high(), 1e-12);
  }

  @Test
  void quantilesAreNumpys() {
    double[] sorted = {1, 2, 4, 8, 16, 32, 64};
    assertEquals(1.15, Bootstrap.quantile(sorted, 0.025), 1e-12);
    assertEquals(59.2, Bootstrap.quantile(sorted, 0.975), 1e-12);
  }

  @Test
  void sameSeedGivesTheSameInterval() {
    assertEquals(BOOTSTRAP.of(share(7, 20)), new Bootstrap(4000, 1).of(share(7, 20)));
  }

  @Test
  void pairingCancelsWhatADocumentAddsToBoth() {
    // Given: documents of very different difficulty, the candidate a little better on each
    Random random = new Random(3);
    double[] base = random.doubles(200, 0, 10).toArray();
    double[] candidate = IntStream.range(0, 200).mapToDouble(i -> base[i] - 0.1).toArray();
    double[] ones = new double[200];
    java.util.Arrays.fill(ones, 1);
    Strata one = Strata.of(new Metric("loss", false, Metric.Transform.RATIO, base, ones));
    Strata two = Strata.of(new Metric("loss", false, Metric.Transform.RATIO, candidate, ones));
    // When
    Estimate difference = BOOTSTRAP.difference(two, one);
    // Then
    assertEquals(-0.1, difference.low(), 1e-9);
    assertEquals(-0.1, difference.high(), 1e-9);
    assertFalse(BOOTSTRAP.of(two).isApartFrom(BOOTSTRAP.of(one)));
  }

  @Test
  void groupBySizeIsTheMeanOverAllDocumentsAndElseOverTests() {
    Metric small = share(10, 10).first();
    Metric large = share(0, 30).first();
    assertEquals(0.25, Strata.group(List.of(small, large), true).value(), 1e-12);
    assertEquals(0.5, Strata.group(List.of(small, large), false).value(), 1e-12);
  }

  @Test
  void dropIsPointsForSharesAndPerCentOfTheBaseForLosses() {
    // Given
    var paired = new Forgetting.Paired(BOOTSTRAP, 2);
    double[] ones = {1, 1, 1, 1};
    Strata low =
        Strata.of(new Metric("l", false, Metric.Transform.RATIO, new double[] {2, 2, 2, 2}, ones));
    Strata high =
        Strata.of(new Metric("l", false, Metric.Transform.RATIO, new double[] {3, 3, 3, 3}, ones));
    // When
    Forgetting points = paired.judge("t", "c", share(40, 100), share(80, 100));
    Forgetting percent = paired.judge("t", "c", high, low);
    // Then
    assertEquals(40, points.drop().value(), 1e-9);
    assertEquals(Verdict.FORGOT, points.verdict());
    assertEquals(50, percent.drop().value(), 1e-9);
  }

  @Test
  void verdictKnowsWhatTheIntervalLeavesOpen() {
    assertEquals(Verdict.KEPT, Forgetting.verdict(new Estimate(0, -1, 1), 2));
    assertEquals(Verdict.PROBABLY_KEPT, Forgetting.verdict(new Estimate(1, -1, 3), 2));
    assertEquals(Verdict.PROBABLY_FORGOT, Forgetting.verdict(new Estimate(3, 1, 5), 2));
    assertEquals(Verdict.FORGOT, Forgetting.verdict(new Estimate(4, 3, 5), 2));
  }

  @Test
  void perplexityIsTakenOfTheSumsAndNotAveraged() {
    Metric metric =
        new Metric(
            "p",
            false,
            Metric.Transform.EXP,
            new double[] {Math.log(2), 9 * Math.log(8)},
            new double[] {1, 9});
    assertEquals(Math.exp((Math.log(2) + 9 * Math.log(8)) / 10), metric.value(), 1e-12);
    assertTrue(BOOTSTRAP.of(Strata.of(metric)).high() <= 8 + 1e-9);
  }
}
