package io.chorale.sched;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class BlockAllocatorTest {
  private final PrefixIndex index = new PrefixIndex(3, 2);
  private final BlockAllocator allocator = new BlockAllocator(3, index);

  @Test
  void releasedBlockIsCachedOnlyIfItIsIndexedAndItsLastHolderWentAway() {
    // Given
    int indexed = allocator.allocate();
    int plain = allocator.allocate();
    index.register(-1, null, new int[] {1, 2}, 0, indexed);
    allocator.share(indexed);
    // When
    allocator.release(plain);
    allocator.release(indexed);
    var held = allocator.counts();
    allocator.release(indexed);
    // Then
    assertEquals(new BlockAllocator.Counts(2, 0, 1, 3), held);
    assertEquals(new BlockAllocator.Counts(2, 1, 0, 3), allocator.counts());
  }

  @Test
  void childIsEvictedBeforeItsParentThoughTheParentIsOlder() {
    // Given
    int parent = allocator.allocate();
    int child = allocator.allocate();
    allocator.allocate();
    var entry = index.register(-1, null, new int[] {1, 2}, 0, parent);
    index.register(-1, entry, new int[] {3, 4}, 0, child);
    allocator.release(child); // a table gives its last block back first
    allocator.release(parent);
    // When
    int taken = allocator.allocate();
    // Then
    assertEquals(child, taken);
    assertNull(index.entry(child));
    assertNotNull(index.entry(parent));
  }

  @Test
  void allocationFailsOnlyWhenAllBlocksAreUsed() {
    // Given
    for (int i = 0; i < 3; i++) {
      allocator.allocate();
    }
    // When
    var full = assertThrows(IllegalStateException.class, allocator::allocate);
    // Then
    assertEquals("all 3 KV blocks are used, wanted one more", full.getMessage());
  }

  @Test
  void blockWithoutAHolderCannotBeReleased() {
    // Given
    int block = allocator.allocate();
    allocator.release(block);
    // When
    var twice = assertThrows(IllegalStateException.class, () -> allocator.release(block));
    // Then
    assertEquals("KV block 0 is released but has no holder", twice.getMessage());
  }

  @Test
  void integrityCheckSeesAParentThatWouldBeEvictedFirst() {
    // Given
    int parent = allocator.allocate();
    int child = allocator.allocate();
    var entry = index.register(-1, null, new int[] {1, 2}, 0, parent);
    index.register(-1, entry, new int[] {3, 4}, 0, child);
    allocator.release(parent);
    allocator.release(child);
    // When
    var off = assertThrows(IllegalStateException.class, () -> allocator.check(new int[3]));
    // Then
    assertEquals("KV block 1 would be evicted after its parent", off.getMessage());
  }
}
