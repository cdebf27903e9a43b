package io.chorale.eval.task;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Numbers of CPython 3.11's random.Random. */
class PythonRandomTest {
  private static List<Integer> range(int n) {
    return IntStream.range(0, n).boxed().toList();
  }

  @Test
  void bitsAreCPythonsForSmallNegativeLargeAndZeroSeeds() {
    PythonRandom random = new PythonRandom(1234);
    assertEquals(4150886329L, Integer.toUnsignedLong(random.bits32()));
    assertEquals(3342196574L, Integer.toUnsignedLong(random.bits32()));
    assertEquals(1892932127L, Integer.toUnsignedLong(random.bits32()));
    assertEquals(2675342405L, Integer.toUnsignedLong(new PythonRandom(-5).bits32()));
    assertEquals(2635837658L, Integer.toUnsignedLong(new PythonRandom((1L << 40) + 7).bits32()));
    assertEquals(3626764237L, Integer.toUnsignedLong(new PythonRandom(0).bits32()));
  }

  @Test
  void samplesAreCPythonsWhetherAPoolOrASetIsUsed() {
    PythonRandom random = new PythonRandom(1234);
    assertEquals(List.of(7, 1, 0), random.sample(range(10), 3));
    assertEquals(List.of(46, 17, 42, 50, 181, 121), random.sample(range(285), 6));
    assertEquals(
        List.of(2, 3, 44, 82, 79, 61, 78, 59, 19, 11, 23, 91, 14, 1, 64, 62, 31, 8, 85, 69),
        random.sample(range(100), 20));
    assertEquals(List.of(3, 0, 2, 4, 1), random.sample(range(5), 5));
  }
}
