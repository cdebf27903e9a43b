package io.chorale.sched;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.List;
import org.junit.jupiter.api.Test;

class PrefixIndexTest {
  private final PrefixIndex index = new PrefixIndex(4, 2);

  @Test
  void blockIsFoundOnlyUnderItsAdapterItsParentAndItsTokens() {
    // Given
    var first = index.register(7, null, new int[] {1, 2}, 0, 0);
    var second = index.register(7, first, new int[] {1, 2, 3, 4}, 2, 1);
    // When
    var found = index.find(7, first, new int[] {9, 9, 3, 4}, 2);
    // Then
    assertSame(second, found);
    assertNull(index.find(8, first, new int[] {3, 4}, 0));
    assertNull(index.find(7, null, new int[] {3, 4}, 0));
    assertNull(index.find(7, second, new int[] {3, 4}, 0));
    assertNull(index.find(7, first, new int[] {3, 5}, 0));
  }

  @Test
  void blocksWhoseHashesCollideAreToldApartByTokensAndParent() {
    // Given
    var first = index.register(-1, null, new int[] {1, 31}, 0, 0);
    // When
    var second = index.register(-1, null, new int[] {2, 0}, 0, 1);
    // Then
    assertEquals(first.hashCode(), second.hashCode());
    assertNotEquals(first, second);
    assertEquals(1, index.find(-1, null, new int[] {2, 0}, 0).block());
    index.register(-1, first, new int[] {5, 6}, 0, 2);
    assertNull(index.find(-1, second, new int[] {5, 6}, 0));
  }

  @Test
  void contentThatIsIndexedKeepsItsFirstBlock() {
    // Given
    var first = index.register(-1, null, new int[] {1, 2}, 0, 0);
    // When
    var again = index.register(-1, null, new int[] {1, 2}, 0, 3);
    // Then
    assertSame(first, again);
    assertNull(index.entry(3));
    assertEquals(List.of(0), index.blocksOf(-1));
  }
}
